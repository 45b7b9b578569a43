"""Layers read one by one and laid over each other, hostile ones refused."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listings.problems import ProblemError
from tests.images_by_hand import (
    ELF_ARM64,
    digest_of,
    directory,
    entry,
    file,
    hardlink,
    program,
    symlink,
    tar,
)
from workers.images import FileEntry, Kind, LayerFacts, Limits, Tree, compose
from workers.images.heads import describe_head
from workers.images.layer import clean_path, read_layer


def read(
    *items: tuple[tarfile.TarInfo, bytes], limits: Limits | None = None, check: Callable[[], None] = lambda: None
) -> LayerFacts:
    return read_blob(gzip.compress(tar(items)), limits=limits, check=check)


def read_blob(
    blob: bytes, digest: str = "", *, limits: Limits | None = None, check: Callable[[], None] = lambda: None
) -> LayerFacts:
    return read_layer(io.BytesIO(blob), digest or digest_of(blob), limits or Limits(), check=check)


def tree(*layers: LayerFacts) -> Tree:
    return compose(layers)


def refusal(blob: bytes, limits: Limits | None = None) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        read_blob(blob, limits=limits)
    return caught.value


class TestOneLayer:
    def test_digest_diff_id_and_sizes_are_those_of_the_bytes(self) -> None:
        plain = tar([file("a", b"12345"), file("b/c", b"123")])
        packed = gzip.compress(plain)
        facts = read_blob(packed)
        assert (facts.digest, facts.diff_id) == (digest_of(packed), digest_of(plain))
        assert (facts.bytes_compressed, facts.bytes) == (len(packed), 8)

    def test_uncompressed_layer_is_read_as_it_is(self) -> None:
        facts = read_blob(tar([file("a")]))
        assert facts.digest == facts.diff_id

    def test_bytes_of_another_digest_are_refused(self) -> None:
        blob = gzip.compress(tar([file("a")]))
        with pytest.raises(ProblemError) as caught:
            read_blob(blob, "sha256:" + "0" * 64)
        assert caught.value.code == "IMAGE-LAYER-DIGEST"
        assert caught.value.report.params["found"] == digest_of(blob)

    def test_bytes_after_the_archive_belong_to_the_digest(self) -> None:
        blob = gzip.compress(tar([file("a")])) + gzip.compress(bytes(4096))
        assert read_blob(blob).digest == digest_of(blob)

    def test_damaged_bytes_are_the_registrys_fault_when_the_digest_differs(self) -> None:
        good = gzip.compress(tar([file("a", b"x" * 5000)]))
        damaged = good[: len(good) // 2] + b"\0\0\0\0" + good[len(good) // 2 + 4 :]
        with pytest.raises(ProblemError) as caught:
            read_blob(damaged, digest_of(good))
        assert caught.value.code == "IMAGE-LAYER-DIGEST"

    @pytest.mark.parametrize(
        "blob",
        [
            b"\x28\xb5\x2f\xfd" + bytes(64),
            b"this is no archive at all",
            gzip.compress(tar([file("a", b"x" * 4096)])[:1500]),
            gzip.compress(tar([file("a", b"x" * 600)]))[:-20],
        ],
        ids=["zstd", "text", "tar cut off", "gzip cut off"],
    )
    def test_what_is_no_layer_is_the_sellers_problem(self, blob: bytes) -> None:
        assert refusal(blob).code == "IMAGE-LAYER-UNREADABLE"

    def test_damaged_header_in_the_middle_is_no_quiet_end(self) -> None:
        plain = bytearray(tar([file("first"), file("second", b"x")]))
        plain[512 + 148] ^= 0x7F  # the second entry's checksum
        assert refusal(gzip.compress(bytes(plain))).code == "IMAGE-LAYER-UNREADABLE"

    def test_telling_files_are_kept_with_their_content(self) -> None:
        facts = read(file("./etc/os-release", b"ID=debian\n"), file("etc/shadow", b"root"))
        assert facts.contents == {"etc/os-release": "ID=debian\n"}

    def test_oversized_telling_file_is_not_kept(self) -> None:
        facts = read(file("etc/os-release", b"x" * 100), limits=Limits(wanted=99))
        assert facts.contents == {}

    def test_names_that_no_database_takes_are_escaped(self) -> None:
        facts = read_blob(tar([file("caf\udce9")], tarfile.GNU_FORMAT))
        assert [item.path for item in facts.entries] == ["caf\\xe9"]

    def test_executable_heads_are_told(self) -> None:
        facts = read(
            program("a"),
            program("b", ELF_ARM64),
            program("c", b"#!/bin/sh -e\r\necho"),
            program("d", b"plain"),
            file("e", b"#!/bin/sh\n"),
        )
        assert [item.head for item in facts.entries] == ["elf:62:", "elf:183:", "#!/bin/sh -e\r", "", ""]

    def test_facts_survive_the_cache(self) -> None:
        facts = read(program("a"), symlink("b", "a"), file("c/.wh.d"), file("e/.wh..wh..opq"), file("etc/os-release"))
        assert LayerFacts.from_json(facts.as_json()) == facts

    def test_reading_stops_when_told(self) -> None:
        class Told(Exception):
            pass

        def stop() -> None:
            raise Told

        with pytest.raises(Told):
            read(file("a"), check=stop)


class TestHostileLayers:
    @pytest.mark.parametrize("name", ["../etc/passwd", "a/../../b", "./../x"])
    def test_paths_out_of_the_image_are_refused(self, name: str) -> None:
        problem = refusal(tar([file(name)]))
        assert problem.code == "IMAGE-LAYER-PATH"
        assert problem.report.params["path"] == name

    @pytest.mark.parametrize("name", ["a/.wh...", "a/.wh..", "a/.wh."])
    def test_whiteouts_of_no_file_are_refused(self, name: str) -> None:
        assert refusal(tar([file(name)])).code == "IMAGE-LAYER-PATH"

    def test_absolute_paths_begin_at_the_images_root(self) -> None:
        assert [item.path for item in read(file("/etc/x"), file("/../etc/y")).entries] == ["etc/x", "etc/y"]

    def test_hardlink_out_of_the_image_is_refused(self) -> None:
        assert refusal(tar([hardlink("a", "../../etc/shadow")])).code == "IMAGE-LAYER-PATH"

    def test_more_entries_than_allowed_are_refused(self) -> None:
        problem = refusal(tar(file(f"f{n}") for n in range(101)), Limits(entries=100))
        assert problem.code == "IMAGE-LAYER-LIMIT"

    def test_huge_entry_counts_are_refused_at_the_real_limit(self) -> None:
        one = entry("a").tobuf()
        problem = refusal(gzip.compress(one * 2000 * 10, 1), Limits(entries=10_000))
        assert "10000 entries" in problem.report.params["detail"]

    def test_bomb_is_refused_by_its_unpacked_size(self) -> None:
        bomb = gzip.compress(tar([file("a", bytes(1 << 20))]))
        assert refusal(bomb, Limits(bytes=1 << 16)).code == "IMAGE-LAYER-LIMIT"

    def test_long_paths_are_refused(self) -> None:
        assert refusal(tar([file("d/" * 300 + "f")]), Limits(path=500)).code == "IMAGE-LAYER-LIMIT"

    @pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
    def test_extended_header_that_claims_gigabytes_is_refused_unread(self, kind: bytes) -> None:
        info = entry("x", kind=kind)
        info.size = 8 << 30
        assert refusal(info.tobuf(tarfile.GNU_FORMAT)).code == "IMAGE-LAYER-LIMIT"

    def test_endless_chain_of_extended_headers_is_refused(self) -> None:
        record = b"12 path=abc\n"
        info = entry("x", kind=tarfile.XHDTYPE)
        info.size = len(record)
        block = info.tobuf(tarfile.GNU_FORMAT) + record.ljust(512, b"\0")
        assert refusal(block * 5000).code == "IMAGE-LAYER-UNREADABLE"

    def test_entry_that_claims_more_than_there_is_ends_at_once(self) -> None:
        info = entry("x")
        info.size = 1 << 70
        assert refusal(info.tobuf(tarfile.GNU_FORMAT)).code == "IMAGE-LAYER-UNREADABLE"

    def test_sparse_file_without_end_is_refused(self) -> None:
        info = entry("x")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x"}
        info.size = 512
        block = info.tobuf(tarfile.PAX_FORMAT) + b"99999999999\n".ljust(512, b"\0")
        assert refusal(block).code == "IMAGE-LAYER-UNREADABLE"

    def test_link_target_is_bounded(self) -> None:
        assert refusal(tar([symlink("a", "x" * 600)]), Limits(path=500)).code == "IMAGE-LAYER-LIMIT"


class TestLaying:
    def test_upper_layer_wins(self) -> None:
        found = tree(read(file("a", b"1")), read(file("a", b"22"))).resolve("/a")
        assert found is not None
        assert (found.entry.size, found.layer) == (2, 1)

    def test_whiteout_removes_a_file(self) -> None:
        laid = tree(read(file("d/a"), file("d/b")), read(file("d/.wh.a")))
        assert laid.resolve("/d/a") is None
        assert laid.resolve("/d/b") is not None

    def test_whiteout_removes_a_whole_directory(self) -> None:
        laid = tree(read(file("d/e/a"), file("d/f")), read(file(".wh.d")))
        assert laid.resolve("/d") is None

    def test_whiteout_does_not_touch_its_own_layer(self) -> None:
        laid = tree(read(file("d/old")), read(file("d/a"), file("d/.wh.a")))
        assert laid.resolve("/d/a") is not None

    def test_removed_file_can_come_back(self) -> None:
        laid = tree(read(file("a", b"1")), read(file(".wh.a")), read(file("a", b"333")))
        found = laid.resolve("/a")
        assert found is not None
        assert found.entry.size == 3

    def test_opaque_directory_hides_what_is_below_and_keeps_its_own(self) -> None:
        laid = tree(read(file("d/old"), file("e/old")), read(file("d/new"), file("d/.wh..wh..opq")))
        assert laid.resolve("/d/old") is None
        assert laid.resolve("/d/new") is not None
        assert laid.resolve("/e/old") is not None

    def test_marks_of_old_storage_drivers_are_no_files(self) -> None:
        laid = tree(read(file(".wh..wh.plnk/1.2"), file(".wh..wh.aufs"), file("a")))
        assert [node.entry.path for node in laid.files() if "plnk" not in node.entry.path] == ["a"]

    def test_whiteout_of_nothing_is_harmless(self) -> None:
        assert list(tree(read(file("x/y/.wh.z"))).files()) == []

    def test_file_over_a_directory_takes_its_content_away(self) -> None:
        laid = tree(read(file("d/a")), read(file("d", b"x")))
        assert laid.resolve("/d/a") is None
        assert laid.resolve("/d") is not None

    def test_directory_over_a_link_is_a_directory(self) -> None:
        laid = tree(read(directory("usr/bin"), file("usr/bin/a"), symlink("bin", "usr/bin")), read(file("bin/b")))
        assert laid.resolve("/bin/a") is None
        assert laid.resolve("/bin/b") is not None

    def test_directory_named_again_keeps_its_content(self) -> None:
        assert tree(read(file("d/a")), read(directory("d"))).resolve("/d/a") is not None

    def test_hardlink_within_a_layer_is_the_file(self) -> None:
        found = tree(read(program("a"), hardlink("b", "a"))).resolve("/b")
        assert found is not None
        assert (found.entry.executable, found.entry.head) == (True, "elf:62:")

    def test_hardlink_to_a_lower_layer_is_the_file(self) -> None:
        found = tree(read(program("a")), read(hardlink("b", "/a"))).resolve("/b")
        assert found is not None
        assert found.entry.executable

    def test_dangling_hardlink_is_no_file(self) -> None:
        assert tree(read(hardlink("b", "nowhere"))).resolve("/b") is None

    def test_content_goes_with_its_file(self) -> None:
        lower = read(file("usr/lib/os-release", b"ID=a"), symlink("etc/os-release", "../usr/lib/os-release"))
        assert tree(lower).text("/etc/os-release") == "ID=a"
        assert tree(lower, read(file("usr/lib/os-release", b"ID=b"))).text("/etc/os-release") == "ID=b"
        assert tree(lower, read(file("usr/lib/.wh.os-release"))).text("/etc/os-release") is None


class TestFollowingLinks:
    def test_chain_of_relative_and_absolute_links(self) -> None:
        laid = tree(
            read(
                program("opt/app/real"),
                symlink("opt/link", "app"),
                symlink("usr/bin/train", "../../opt/link/real"),
                symlink("bin", "/usr/bin"),
            )
        )
        found = laid.which("train", "/nowhere:/bin", "/")
        assert found is not None
        assert found.entry.path == "opt/app/real"

    def test_links_never_leave_the_image(self) -> None:
        laid = tree(read(symlink("a", "../../../../etc/passwd"), file("etc/passwd")))
        found = laid.resolve("/a")
        assert found is not None
        assert found.entry.path == "etc/passwd"

    def test_loop_ends(self) -> None:
        laid = tree(read(symlink("a", "b"), symlink("b", "a"), symlink("c", "c/c")))
        assert laid.resolve("/a") is None
        assert laid.resolve("/c") is None

    def test_forty_links_are_followed_and_no_more(self) -> None:
        links = [symlink(f"l{n}", f"l{n - 1}") for n in range(1, 42)]
        laid = tree(read(file("l0"), *links))
        assert laid.resolve("/l40") is not None
        assert laid.resolve("/l41") is None

    def test_dot_dot_after_a_link_is_the_targets_parent(self) -> None:
        laid = tree(read(file("x/y/z"), file("x/side"), symlink("l", "x/y")))
        assert laid.resolve("/l/../side") is not None

    def test_file_is_no_directory(self) -> None:
        assert tree(read(file("a"))).resolve("/a/b") is None

    def test_relative_program_begins_at_the_working_directory(self) -> None:
        laid = tree(read(program("app/start")))
        assert laid.which("./start", "/bin", "/app") is not None
        assert laid.which("./start", "/bin", "/") is None

    def test_file_without_the_bit_is_passed_over(self) -> None:
        laid = tree(read(file("bin/train", b"x"), program("usr/bin/train")))
        found = laid.which("train", "/bin:/usr/bin", "/")
        assert found is not None
        assert found.entry.path == "usr/bin/train"

    def test_relative_entries_of_path_are_not_searched(self) -> None:
        assert tree(read(program("train"))).which("train", ".:", "/") is None


@pytest.mark.parametrize(
    ("name", "clean"), [("./a/./b", "a/b"), ("a//b/", "a/b"), ("/", ""), ("a/../b", "b"), ("/../../b", "b"), (".", "")]
)
def test_paths_are_taken_as_engines_take_them(name: str, clean: str) -> None:
    assert clean_path(name, 100) == clean


def test_short_elf_is_no_elf() -> None:
    assert describe_head(b"\x7fELF") == ""


def test_only_files_are_executable() -> None:
    assert not FileEntry("d", Kind.DIRECTORY, 0o755).executable


SOUND = tar([
    directory("d"), program("d/run"), symlink("d/link", "run"), hardlink("d/hard", "d/run"), file("d/.wh.gone"),
    file("etc/os-release", b"ID=debian\n"), file("n" * 150, b"x" * 700),
])  # fmt: skip


def facts_or_code(blob: bytes) -> LayerFacts | str:
    try:
        return read_blob(blob, limits=Limits(bytes=1 << 20))
    except ProblemError as error:
        return error.code


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=12),
    cut=st.integers(0, len(SOUND)),
    packed=st.booleans(),
)
def test_no_damage_ends_in_anything_but_facts_or_a_coded_problem(
    changes: list[tuple[int, int]], cut: int, packed: bool
) -> None:
    damaged = bytearray(SOUND)
    for place, value in changes:
        damaged[place] = value
    blob = gzip.compress(bytes(damaged), 1) if packed else bytes(damaged)
    blob = blob[: max(1, cut)]
    found = facts_or_code(blob)
    if isinstance(found, str):
        assert found.startswith("IMAGE-LAYER-")
    else:
        assert LayerFacts.from_json(json.loads(json.dumps(found.as_json()))) == found
        assert [node for node in compose([found]).files() if ".." in node.entry.path.split("/")] == []
