"""Whatever an image says of itself, inspect answers with checks and never with an exception."""

from __future__ import annotations

import json
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.image_fixtures import checks, image, layered
from tests.images_by_hand import elf, file, program, symlink
from workers.images.checks import check_image

WORDS = st.sampled_from(
    ["train", "python3", "sh", "-c", "--", "/bin/tini", "tini", "-m", "-", "", "/", ".", "..", "/a/../..", "\x00", "ü",
     "env", "-e", "main.py", "/opt/ml/x", "exec", "/loop", " ", "x" * 300, "-W", "+o"]
)  # fmt: skip
HEADS = st.one_of(
    st.binary(max_size=300),
    st.binary(max_size=300).map(lambda rest: b"#!" + rest),
    st.binary(max_size=80).map(lambda rest: b"#!/usr/bin/env -S " + rest),
    st.binary(max_size=300).map(lambda rest: b"\x7fELF" + rest),
    st.tuples(st.integers(4, 200), st.integers(0, 255)).map(lambda at: _changed(elf(loader="/bin/sh"), *at)),
)


def _changed(content: bytes, place: int, value: int) -> bytes:
    return content[:place] + bytes([value]) + content[place + 1 :]


@settings(max_examples=150, deadline=None)
@given(
    words=st.lists(WORDS, max_size=5), head=HEADS, folder=WORDS, user=WORDS, path=st.lists(WORDS, max_size=3),
    text=st.text(max_size=200), line=st.text(max_size=200),
)  # fmt: skip
def test_any_image_is_answered_with_checks(
    words: list[str], head: bytes, folder: str, user: str, path: list[str], text: str, line: str
) -> None:
    made = layered(
        [[program("bin/train", head), program("bin/sh"), program("usr/bin/env"), program("usr/bin/python3"),
          symlink("loop", "loop"), file("main.py", text.encode()), program("bin/tini", b"#!/bin/sh\n" + text.encode()),
          file("etc/passwd", text.encode()), file("root/.netrc", text.encode())]],
        [f"RUN pip install {line}"], Entrypoint=words, Cmd=words, WorkingDir=folder, User=user,
        Env=["PATH=" + ":".join(path), f"X_TOKEN={text}", text], Labels={text: line},
    )  # fmt: skip
    found = check_image(made, train=True, serve=True)
    json.dumps([[check.params, [evidence.as_json() for evidence in check.evidence], check.patch] for check in found])
    assert len({check.code for check in found}) == len(found)


def test_longest_paths_and_links_cost_little() -> None:
    links = [symlink(f"l{number}", f"l{number - 1}/" + "../l0/" * 600) for number in range(1, 40)]
    script = program("bin/train", b"#!/bin/sh\n" + b"\n".join(b"/l39/x%d.py /l%d/y" % (n, n % 40) for n in range(4000)))
    made = image(program("bin/sh"), file("l0/x.py"), script, *links, Env=["PATH=/l39:/bin" + ":/l38" * 20_000])
    before = time.process_time()
    checks(made)
    assert time.process_time() - before < 20
