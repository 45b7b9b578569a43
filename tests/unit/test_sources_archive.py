"""Any upload becomes one normal form, and nothing hostile gets through."""

from __future__ import annotations

import gzip
import io
import os
import random
import stat
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listings.problems import ProblemError, get
from tests.unit.archive_fixtures import hard, link, listing_of, normal, special, tar, zipped
from workers.sources.archive import FIXED_TIME
from workers.sources.members import MAX_HEADER, Limits
from workers.sources.names import clean, leads_out

FILES = {"Dockerfile": b"FROM scratch\n", "bin/serve": b"#!/bin/sh\n", "slipway.yaml": b"slipway: 1\n"}
TAR = tar(
    ("Dockerfile", FILES["Dockerfile"]), ("bin/serve", FILES["bin/serve"], 0o4755), ("slipway.yaml", b"slipway: 1\n")
)


def refusal(content: bytes, folder: Path, **more: object) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        normal(content, folder, **more)
    assert get(caught.value.code).remedy
    assert list(folder.glob("*.scratch")) == []
    return caught.value


def test_a_tar_becomes_sorted_and_anonymous_and_keeps_executable_bits(tmp_path):
    found, archive = normal(TAR, tmp_path)
    entries = listing_of(archive)
    assert list(entries) == ["Dockerfile", "bin", "bin/serve", "slipway.yaml"]
    assert entries["bin/serve"].mode == 0o755
    assert entries["Dockerfile"].mode == 0o644
    assert {(e.uid, e.gid, e.uname, e.mtime) for e in entries.values()} == {(0, 0, "", FIXED_TIME)}
    assert (found.files, found.bytes) == (3, sum(map(len, FILES.values())))


def test_the_same_files_give_the_same_bytes_whatever_they_were_packed_as(tmp_path):
    modes = {"bin/serve": stat.S_IFREG | 0o755}
    plain = tar(*((n, c, 0o755 if n == "bin/serve" else 0o600) for n, c in reversed(FILES.items())), packed=False)
    wrapped = tar(
        special("./", tarfile.DIRTYPE),
        ("./my-model/Dockerfile", FILES["Dockerfile"]),
        ("./my-model/bin//serve", FILES["bin/serve"], 0o755),
        ("./my-model/./slipway.yaml", b"slipway: 1\n"),
    )
    results = {normal(each, tmp_path)[1] for each in (TAR, plain, zipped(FILES, modes), wrapped)}
    assert len(results) == 1


def test_a_single_wrapping_directory_is_stripped_and_said(tmp_path):
    found, archive = normal(tar(("proj/Dockerfile", b"x"), ("proj/src/a.py", b"y")), tmp_path)
    assert list(listing_of(archive)) == ["Dockerfile", "src", "src/a.py"]
    assert any("proj/" in note for note in found.notes)


def test_a_directory_that_the_form_names_is_no_wrapper(tmp_path):
    content = tar(("docker/Dockerfile", b"x"), ("docker/a", b"y"))
    _, archive = normal(content, tmp_path, dockerfile="docker/Dockerfile")
    assert "docker/Dockerfile" in listing_of(archive)
    _, archive = normal(content, tmp_path, dockerfile="Dockerfile")
    assert "Dockerfile" in listing_of(archive)


def test_git_and_what_macos_adds_are_left_out(tmp_path):
    found, archive = normal(
        zipped(
            {
                "p/Dockerfile": b"x",
                "p/.git/config": b"s",
                "p/sub/.git": b"s",
                "__MACOSX/p/._a": b"s",
                "p/.DS_Store": b"s",
                "p/._b": b"s",
                "p/.gitignore": b"k",
            }
        ),
        tmp_path,
    )
    assert list(listing_of(archive)) == [".gitignore", "Dockerfile"]
    assert any("5 entries were left out" in note for note in found.notes)


def test_a_windows_zip_gets_back_the_executable_bit_of_scripts(tmp_path):
    found, archive = normal(zipped({"bin\\train": b"#!/bin/sh\n", "data.csv": b"1"}, system=0), tmp_path)
    entries = listing_of(archive)
    assert entries["bin/train"].mode == 0o755
    assert entries["data.csv"].mode == 0o644
    assert any("1 scripts" in note for note in found.notes)


def test_links_that_stay_inside_are_kept_and_hard_links_become_files(tmp_path):
    content = tar(
        ("a/b.txt", b"data"),
        link("a/c", "b.txt"),
        link("d", "a/../a/c"),
        link("loop", "loop"),
        link("gone", "a/nothing"),
        hard("e", "a/b.txt"),
    )
    _, archive = normal(content, tmp_path)
    entries = listing_of(archive)
    assert entries["d"].linkname == "a/../a/c"
    assert entries["e"].isreg()
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert opened.extractfile("e").read() == b"data"


def test_a_link_in_a_zip_is_a_link(tmp_path):
    modes = {"l": stat.S_IFLNK | 0o777}
    _, archive = normal(zipped({"a": b"x", "l": b"a"}, modes), tmp_path)
    assert listing_of(archive)["l"].issym()
    assert refusal(zipped({"a": b"x", "l": b"/etc/passwd"}, modes), tmp_path).code == "SOURCE-LINK-ESCAPE"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a/..", "C:/x", "a/../b"])
def test_a_path_that_leads_out_is_refused(name, tmp_path):
    for content in (tar((name, b"x")), zipped({name: b"x"})):
        error = refusal(content, tmp_path)
        assert (error.code, error.report.params["member"]) == ("SOURCE-PATH-ESCAPE", name)


def test_a_backslash_path_in_a_zip_cannot_lead_out(tmp_path):
    assert refusal(zipped({"..\\x": b"x"}, system=0), tmp_path).code == "SOURCE-PATH-ESCAPE"


@pytest.mark.parametrize("entries", [
    [link("a", "/etc/passwd")],
    [link("a", "../x")],
    [link("d/a", "../../x")],
    [link("d/up", ".."), link("b", "d/up/../x")],
    [link("d/up", ".."), link("e/f/g", "../../d/up/../../x")],
    [link("wrap/a", "../x"), ("wrap/b", b"x")],
    [("f", b"x"), hard("h", "/etc/passwd")],
    [("f", b"x"), hard("h", "../f")],
])  # fmt: skip
def test_a_link_that_leads_out_is_refused(entries, tmp_path):
    assert refusal(tar(("wrap/x" if entries[0] else "x", b"x"), *entries), tmp_path).code == "SOURCE-LINK-ESCAPE"


@pytest.mark.parametrize(("entries", "code"), [
    ([special("p", tarfile.FIFOTYPE)], "SOURCE-SPECIAL-FILE"),
    ([special("p", tarfile.CHRTYPE)], "SOURCE-SPECIAL-FILE"),
    ([special("p", tarfile.BLKTYPE)], "SOURCE-SPECIAL-FILE"),
    ([hard("h", "later"), ("later", b"x")], "SOURCE-LINK-BROKEN"),
    ([("a", b"1"), ("./a", b"2")], "SOURCE-DUPLICATE"),
    ([("a", b"1"), ("a/b", b"2")], "SOURCE-PATH-CONFLICT"),
    ([link("a", "b"), ("a/c", b"2")], "SOURCE-PATH-CONFLICT"),
    ([("a", b"1"), special("a", tarfile.DIRTYPE)], "SOURCE-PATH-CONFLICT"),
    ([("a\nb", b"1")], "SOURCE-BAD-NAME"),
    ([("x" * 256, b"1")], "SOURCE-BAD-NAME"),
    ([("/".join(["d"] * 65), b"1")], "SOURCE-BAD-NAME"),
    ([("caf\udce9", b"1")], "SOURCE-BAD-NAME"),
    ([link("a", "")], "SOURCE-BAD-NAME"),
    ([], "SOURCE-EMPTY"),
    ([special("d", tarfile.DIRTYPE)], "SOURCE-EMPTY"),
    ([(".git/config", b"x")], "SOURCE-EMPTY"),
])  # fmt: skip
def test_what_cannot_be_built_from_is_refused(entries, code, tmp_path):
    assert refusal(tar(*entries), tmp_path).code == code


def test_a_pipe_in_a_zip_is_refused(tmp_path):
    assert refusal(zipped({"p": b""}, {"p": stat.S_IFIFO | 0o644}), tmp_path).code == "SOURCE-SPECIAL-FILE"


@pytest.mark.parametrize("content", [
    b"", b"not an archive", b"\x7fELF" + bytes(600), b"\xfd7zXZ\x00" + bytes(600), b"7z\xbc\xaf" + bytes(600),
    random.Random(1).randbytes(2000), b"PK\x03\x04" + bytes(100), b"\x1f\x8b" + bytes(100), gzip.compress(b"just text"),
    gzip.compress(b"x" * 2000), TAR[: len(TAR) // 2], TAR[:-4], gzip.compress(gzip.decompress(TAR)[:700]),
    gzip.compress(gzip.decompress(TAR)[:512]), zipped(FILES)[:-30],
], ids=range(15))  # fmt: skip
def test_what_is_no_whole_archive_is_refused(content, tmp_path):
    error = refusal(content, tmp_path)
    assert error.code == "SOURCE-NOT-ARCHIVE"
    assert error.report.params["detail"]


def test_damage_in_the_middle_is_not_taken_for_the_end(tmp_path):
    plain = bytearray(tar(("a", b"x" * 600), ("b", b"y"), packed=False))
    plain[512 + 1024 + 10] ^= 0xFF
    assert refusal(bytes(plain), tmp_path).code == "SOURCE-NOT-ARCHIVE"
    packed = bytearray(zipped({"a": b"hello world" * 50}))
    packed[45] ^= 0xFF
    assert refusal(bytes(packed), tmp_path).code == "SOURCE-NOT-ARCHIVE"


def test_an_encrypted_zip_is_refused(tmp_path):
    content = bytearray(zipped({"a": b"secret"}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert refusal(bytes(content), tmp_path).code == "SOURCE-ENCRYPTED"


def test_a_zip_method_that_needs_much_memory_is_refused(tmp_path):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", b"x" * 100)
    assert refusal(target.getvalue(), tmp_path).code == "SOURCE-NOT-ARCHIVE"


@pytest.mark.parametrize("pack", [lambda c: tar(("a", c)), lambda c: zipped({"a": c})], ids=["tar", "zip"])
def test_bombs_are_refused_by_size_and_by_ratio(pack, tmp_path):
    content = pack(bytes(4 << 20))
    assert refusal(content, tmp_path).code == "SOURCE-BOMB"
    assert refusal(content, tmp_path, limits=Limits(bytes=1 << 20, files=10)).code == "SOURCE-TOO-LARGE"
    found, _ = normal(content, tmp_path, limits=Limits(bytes=8 << 20, files=10, ratio=50, ratio_floor=8 << 20))
    assert found.bytes == 4 << 20


def test_too_many_members_are_refused(tmp_path):
    limits = Limits(bytes=1 << 20, files=3)
    assert refusal(tar(*((f"f{n}", b"") for n in range(4))), tmp_path, limits=limits).code == "SOURCE-TOO-LARGE"
    assert refusal(zipped({f"f{n}": b"" for n in range(4)}), tmp_path, limits=limits).code == "SOURCE-TOO-LARGE"
    deep = tar(("/".join("abcdefghij"), b""))
    assert refusal(deep, tmp_path, limits=limits).code == "SOURCE-TOO-LARGE"


def test_hard_links_count_as_often_as_they_are_written(tmp_path):
    content = tar(("a", os.urandom(400_000)), *(hard(f"h{n}", "a") for n in range(3)))
    assert refusal(content, tmp_path, limits=Limits(bytes=1_000_000, files=10)).code == "SOURCE-TOO-LARGE"


def test_a_header_that_wants_much_memory_is_refused(tmp_path):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, MAX_HEADER * 4
    content = gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(MAX_HEADER * 4 + 1024))
    assert refusal(content, tmp_path).code == "SOURCE-NOT-ARCHIVE"


def test_a_zip_whose_directory_is_huge_is_refused_before_it_is_read(tmp_path):
    # An end record that claims a directory of 33 MiB, in a sparse file of the same size.
    size = 33 << 20
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, size, 4, 0)
    path = tmp_path / "huge.zip"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.seek(4 + size)
        file.write(end)
    assert refusal(path.read_bytes(), tmp_path).code == "SOURCE-TOO-LARGE"


def test_being_told_to_stop_ends_it_and_leaves_nothing_behind(tmp_path):
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) > 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        normal(TAR, tmp_path, check=check)
    assert list(tmp_path.glob("*.scratch")) == []


_NAME = st.lists(st.sampled_from(["a", "b", "..", ".", "", "C:", "\\", "é", " ", ".git"]), min_size=1, max_size=6).map(
    "/".join
)
_ENTRY = st.one_of(st.tuples(st.just("file"), _NAME), st.tuples(st.just("dir"), _NAME),
                   st.tuples(st.just("link"), _NAME, _NAME), st.tuples(st.just("hard"), _NAME, _NAME))  # fmt: skip


def _tar_of(entries: list[tuple[str, ...]]) -> bytes:
    made = {"file": lambda n: (n, b"x"), "dir": lambda n: special(n, tarfile.DIRTYPE), "link": link, "hard": hard}
    return tar(*(made[kind](*names) for kind, *names in entries))


@settings(max_examples=300, deadline=None)
@given(st.lists(_ENTRY, max_size=8))
def test_whatever_the_names_unpacking_the_result_never_leaves_its_directory(entries):
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        try:
            _, archive = normal(_tar_of(entries), root)
        except ProblemError as error:
            assert error.code.startswith("SOURCE-")  # noqa: PT017
            return
        inside = root / "deep" / "inside"
        inside.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            opened.extractall(inside)
        for path in inside.rglob("*"):
            # A link's real place, followed as far as it goes, is below the root; a loop leads nowhere.
            assert Path(os.path.realpath(path)).is_relative_to(inside), path
        assert sorted(p.name for p in root.iterdir()) == ["deep", "normal.tar.gz"]
        assert [p.name for p in (root / "deep").iterdir()] == ["inside"]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08"]))
def test_any_bytes_are_an_archive_or_a_coded_refusal(tail, start):
    with tempfile.TemporaryDirectory() as folder:
        try:
            normal(start + tail, Path(folder))
        except ProblemError as error:
            assert error.code.startswith("SOURCE-")  # noqa: PT017


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(TAR) * 20), st.integers(1, 255))
def test_a_changed_byte_in_a_tar_is_an_archive_or_a_coded_refusal(position, change):
    plain = bytearray(gzip.decompress(TAR))
    plain[position % len(plain)] ^= change
    with tempfile.TemporaryDirectory() as folder:
        try:
            normal(bytes(plain), Path(folder))
        except ProblemError as error:
            assert error.code.startswith("SOURCE-")  # noqa: PT017


def test_names_are_cleaned_and_links_followed_through_other_links():
    assert clean("./a//b/./c") == "a/b/c"
    assert clean("./") == ""
    assert leads_out("c", {"a/b": "..", "c": "a/b/../.."})
    assert not leads_out("c", {"a/b": "..", "c": "a/b/a/b"})
