"""What an image's names and headers take in memory is bounded for all of them together."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.images_by_hand import entry, file, symlink, tar
from tests.unit.test_layers import read, read_blob, refusal
from workers.images import Limits
from workers.images.names import Names
from workers.images.reader import PIECE, _from_cache, _to_cache
from workers.images.streams import TooMuch


@pytest.mark.parametrize("mark", [".wh.f", "d/.wh..wh..opq"])
def test_marks_of_removed_files_count_as_entries(mark: str) -> None:
    items = [file(f"{n}/{mark}") for n in range(40)]
    assert read(*items).entries == ()
    assert "100 entries" in refusal(tar(items * 2), Limits(entries=100)).report.params["detail"]


def test_folders_that_only_paths_tell_of_count_as_entries() -> None:
    items = [file(f"{n}/" + "d/" * 50 + "f") for n in range(2)]
    assert "100 entries" in refusal(tar(items), Limits(entries=100)).report.params["detail"]
    assert len(read(*items, limits=Limits(entries=104)).entries) == 2


@pytest.mark.parametrize(
    "items",
    [
        [file("a" * 90), file("b" * 90)],
        [symlink("a", "x" * 90), symlink("b", "x" * 90)],
        [file(".wh." + "a" * 90), file(".wh." + "b" * 90)],
        [file("d/" * 12 + "f")],
    ],
)
def test_characters_of_all_names_together_are_bounded(items: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    assert "150 characters" in refusal(tar(items), Limits(characters=150)).report.params["detail"]
    assert read(*items, limits=Limits(characters=200))


def test_names_of_all_layers_count_together() -> None:
    names = Names(Limits(entries=2))
    names.add_layer(read(file("a"), file(".wh.b")))
    with pytest.raises(TooMuch):
        names.add_layer(read(file("d/.wh..wh..opq")))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_extended_headers_that_are_held_together_are_bounded_together(kind: bytes) -> None:
    info = entry("x", kind=kind)
    blocks = []
    for number in range(3):
        record = b"1009 k%03d=" % number + b"v" * 998 + b"\n"
        info.size = len(record)
        blocks.append(info.tobuf(tarfile.GNU_FORMAT) + record.ljust(1024, b"\0"))
    assert refusal(b"".join(blocks) + tar([file("f")]), Limits(header=2500)).code == "IMAGE-LAYER-LIMIT"
    assert read_blob(b"".join(blocks) + tar([file("f")]), limits=Limits(header=3500)).entries


def test_extended_headers_of_different_entries_are_not_added_up() -> None:
    assert len(read(*(file(f"{n}" + "n" * 300) for n in range(9)), limits=Limits(header=1000)).entries) == 9


def test_facts_of_many_entries_survive_the_caches_file(tmp_path: Path) -> None:
    facts = read(*(file(f"f{n}✓") for n in range(PIECE + 1)), file("d/.wh..wh..opq"))
    _to_cache(tmp_path / "kept", facts)
    assert _from_cache(tmp_path / "kept", facts.digest) == facts
