"""What inspect says of a start, held against what the engine does: every variant is looked at and really started."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import docker.errors
import pytest

from listings.reports import CheckOutcome
from tests.contract_rows import detects
from tests.engine.registry_steps import named
from tests.images_by_hand import ELF_ARM64, directory, elf, file, program
from tests.registry_fixtures import Registry
from workers.engine import Engine
from workers.images import Image, read_image
from workers.images.checks import check_image
from workers.registries import RegistryClient

HELLO = b"echo started $1\n"
PYTHON_HELLO = b"import sys\nprint('started', sys.argv[1])\n"
LONG = b"/" * 240 + b"bin/sh"


def chain(length: int) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Scripts that name each other as interpreters; the last one names a program that writes its arguments."""
    scripts = [program(f"chain/{length}-0", b"#!/bin/echo started train\n")]
    scripts += [program(f"chain/{length}-{n}", f"#!/chain/{length}-{n - 1}\n".encode()) for n in range(1, length)]
    return scripts


FILES = [
    program("good/sh", b"#!/bin/sh\n" + HELLO),
    program("good/blanks", b"#! \t/bin/sh -e \t\n" + HELLO),
    program("good/end", b"#!/bin/echo started train"),
    program("good/env", b"#!/usr/bin/env python3\n" + PYTHON_HELLO),
    program("good/env-split", b"#!/usr/bin/env -S python3 -u\n" + PYTHON_HELLO),
    program("good/env-variable", b"#!/usr/bin/env -S MODE=x python3 -u\n" + PYTHON_HELLO),
    program("good/env-other-path", b"#!/usr/bin/env -S PATH=/only here\n"),
    program("good/long", b"#!/bin/echo started train " + b"x" * 400 + b"\n"),
    program("only/here", b"#!/bin/echo started train\n"),
    program("bad/crlf", b"#!/bin/sh\r\n" + HELLO),
    program("bad/crlf-env", b"#!/usr/bin/env python3\r\n" + PYTHON_HELLO),
    program("bad/bom", b"\xef\xbb\xbf#!/bin/sh\n" + HELLO),
    program("bad/interpreter", b"#!/usr/bin/nothing\n" + HELLO),
    program("bad/interpreter-name", b"#!python3\n" + PYTHON_HELLO),
    program("bad/interpreter-folder", b"#!/usr/bin\n" + HELLO),
    program("bad/interpreter-mode", b"#!/bad/mode\n" + HELLO),
    program("bad/env-blank", b"#!/usr/bin/env python3 -u\n" + PYTHON_HELLO),
    program("bad/env-missing", b"#!/usr/bin/env python2\n"),
    program("bad/env-busybox", b"#!/bb/env -S sh -e\n" + HELLO),
    program("bad/env-other-path", b"#!/usr/bin/env -S PATH=/nowhere here\n"),
    program("bad/no-line", b"echo started $1\n"),
    program("bad/nothing-named", b"#!\n" + HELLO),
    program("bad/empty", b""),
    program("bad/long", b"#!" + LONG + b"x" * 20 + b"\n" + HELLO),
    program("bad/arm", ELF_ARM64),
    program("bad/musl", elf(loader="/lib/ld-musl-x86_64.so.1")),
    program("bad/object", elf(kind=1)),
    program("bad/cut", elf()[:40]),
    file("bad/mode", b"#!/bin/sh\n" + HELLO),
    directory("bad/folder"),
    file("app/main.py", PYTHON_HELLO),
    file("app/crlf.sh", HELLO.replace(b"\n", b"\r\n")),
    *chain(5), *chain(6),
]  # fmt: skip
DOCKERFILE = """\
FROM slipway.local/busybox:1 AS bb
FROM slipway.local/python:3.11-bookworm
COPY --from=bb /bin/busybox /bb/busybox
RUN ln -s busybox /bb/env && mkdir /links && ln -s ../good /links/good && ln -s good/sh /links/one && \\
    ln -s /links/one /links/two && ln -s loop /links/loop && ln -s /nowhere /links/dangling
COPY root/ /
"""


@dataclass(frozen=True)
class Start:
    """ENTRYPOINT and what else the configuration says. ``code``: the check that has to fail, or empty."""

    entrypoint: list[str]
    code: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = ""


def path(name: str) -> Start:
    return Start([f"/{name}"], "" if name.startswith("good/") else "IMAGE-INTERPRETER")


NAMED = {entry.name: path(entry.name) for entry, _ in FILES if entry.name.startswith(("good/", "bad/"))}
STARTS = NAMED | {
    "bad/mode": Start(["/bad/mode"], "IMAGE-ENTRYPOINT"),
    "bad/folder": Start(["/bad/folder"], "IMAGE-ENTRYPOINT"),
    "absent": Start(["/absent"], "IMAGE-ENTRYPOINT"),
    "link": Start(["/links/one"]),
    "links": Start(["/links/good/../good/sh"]),
    "link to link": Start(["/links/two"]),
    "loop": Start(["/links/loop"], "IMAGE-ENTRYPOINT"),
    "dangling": Start(["/links/dangling"], "IMAGE-ENTRYPOINT"),
    "on PATH": Start(["sh", "-c", "echo started $0"]),
    "on the image's PATH": Start(["here"], "", {"PATH": "/nowhere:/only:/bin"}),
    "not on PATH": Start(["here"], "IMAGE-ENTRYPOINT"),
    "empty PATH": Start(["sh", "/good/sh"], "IMAGE-ENTRYPOINT", {"PATH": ""}),
    "relative": Start(["./sh"], "", {}, "/good"),
    "relative to elsewhere": Start(["./sh"], "IMAGE-ENTRYPOINT", {}, "/app"),
    "five scripts": Start(["/chain/5-4"]),
    "six scripts": Start(["/chain/6-5"], "IMAGE-INTERPRETER"),
    "file of a program": Start(["python3", "-u", "main.py"], "", {}, "/app"),
    "file elsewhere": Start(["python3", "-u", "main.py"], "IMAGE-ENTRYPOINT-FILE"),
    "file along PATH, bash": Start(["bash", "sh"], "", {"PATH": "/good:/bin:/usr/bin"}, "/app"),
    "file along PATH, dash": Start(["dash", "sh"], "IMAGE-ENTRYPOINT-FILE", {"PATH": "/good:/bin:/usr/bin"}, "/app"),
    "argument as a file": Start(["python3"], "IMAGE-ENTRYPOINT-FILE"),
    "shell form": Start(["/bin/sh", "-c", "/good/sh train"]),
    "shell form of nothing": Start(["/bin/sh", "-c", "/absent/main train"], "IMAGE-ENTRYPOINT"),
    "new folder": Start(["/good/sh"], "", {}, "/made/by/the/engine"),
    "folder is a file": Start(["/good/sh"], "IMAGE-WORKDIR", {}, "/app/main.py"),
    "user": Start(["/good/sh"], "", user="nobody"),
    "number": Start(["/good/sh"], "", user="4711:4711"),
    "unknown user": Start(["/good/sh"], "IMAGE-USER-UNKNOWN", user="somebody"),
    "unknown group": Start(["/good/sh"], "IMAGE-USER-UNKNOWN", user="root:somegroup"),
}


@dataclass(frozen=True)
class Built:
    image: Image
    engine: Engine
    reference: str


@pytest.fixture(scope="module")
def built(engine: Engine, registry: Registry) -> Iterator[Built]:
    """One image with all the files, in the engine and read from the registry."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        items = [(replace_name(entry), content) for entry, content in FILES]
        for entry, content in [file("Dockerfile", DOCKERFILE.encode()), *items]:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    context.seek(0)
    repository = f"staging/truth-{uuid.uuid4().hex[:12]}"
    reference = f"{registry.host}/{repository}"
    engine.client.images.build(fileobj=context, custom_context=True, tag=reference, rm=True, forcerm=True)
    try:
        credentials = {"username": registry.username, "password": registry.password}
        events = engine.api.push(reference, stream=True, decode=True, auth_config=credentials)
        digest = next(event["aux"]["Digest"] for event in events if "aux" in event)
        with RegistryClient(named(registry)) as client:
            yield Built(read_image(client, repository, digest), engine, reference)
    finally:
        engine.remove_image(f"{reference}:latest")


def replace_name(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    moved = tarfile.TarInfo(f"root/{entry.name}")
    moved.type, moved.mode, moved.linkname = entry.type, entry.mode, entry.linkname
    return moved


def really_starts(built: Built, start: Start, instance: str) -> bool:
    """Whether the engine starts it with the argument and the program behind it says so."""
    options: dict[str, Any] = {"user": start.user} if start.user else {}
    try:
        container = built.engine.client.containers.create(
            built.reference, ["train"], entrypoint=start.entrypoint, environment=start.environment,
            working_dir=start.folder, network_mode="none", labels={"slipway.instance": instance}, **options,
        )  # fmt: skip
        container.start()
    except docker.errors.APIError:
        return False
    try:
        return container.wait(timeout=30)["StatusCode"] == 0 and b"started train" in container.logs()
    except Exception:
        # env that starts its own script over and over never ends by itself.
        return False


@pytest.mark.parametrize("name", STARTS)
@detects(3, "IMAGE-INTERPRETER")
@detects(18, "IMAGE-INTERPRETER")
@detects(19, "IMAGE-INTERPRETER")
def test_inspect_says_what_the_engine_does(built: Built, instance: str, name: str) -> None:
    start = STARTS[name]
    config = replace(
        built.image.config, entrypoint=start.entrypoint, working_dir=start.folder, user=start.user,
        env=built.image.config.env | start.environment,
    )  # fmt: skip
    found = check_image(replace(built.image, config=config), train=True, serve=False)
    # Another user than root is a rule of SageMaker's: the engine starts it.
    failing = [check for check in found if check.outcome is CheckOutcome.FAIL and check.code != "IMAGE-USER"]
    assert [check.code for check in failing] == ([start.code] if start.code else [])
    assert really_starts(built, start, instance) is (not start.code)


@detects(18, "IMAGE-SCRIPT-CRLF")
def test_script_handed_to_a_shell_with_windows_line_ends(built: Built) -> None:
    config = replace(built.image.config, entrypoint=["sh", "/app/crlf.sh"])
    found = {check.code: check for check in check_image(replace(built.image, config=config), train=True, serve=False)}
    assert found["IMAGE-SCRIPT-CRLF"].outcome is CheckOutcome.WARN
    assert found["IMAGE-SCRIPT-CRLF"].patch == "RUN sed -i 's/\\r$//' /app/crlf.sh\n"


def test_layers_of_a_real_build_tell_lines_and_packages(built: Built) -> None:
    lines = [layer.created_by for layer in built.image.layers]
    assert "ln -s busybox /bb/env" in lines[-2]
    packages = {name for _, name, _ in built.image.layers[0].facts.packages}
    assert {"bash", "coreutils", "python3-minimal"} <= packages
