"""How the files lie in ``model.tar.gz``, told without unpacking it."""

from __future__ import annotations

import io
import tarfile

import pytest

from listings.problems import ProblemError
from tests.contract_rows import detects
from tests.unit.archive_fixtures import hard, link, special, tar
from workers.sandbox import model_files
from workers.sandbox.model_files import unpacked
from workers.sources import artifact
from workers.sources.artifact import ArtifactContents, examine

Entry = tarfile.TarInfo | tuple[str, bytes]


def look(*entries: Entry, packed: bool = True) -> ArtifactContents:
    content = tar(*entries, packed=packed)
    return examine(io.BytesIO(content), len(content), "model.tar.gz", lambda: None)


def refusal(*entries: Entry, packed: bool = True) -> str:
    with pytest.raises(ProblemError) as caught:
        look(*entries, packed=packed)
    assert caught.value.code == "SOURCE-BAD-ARTIFACT"
    return caught.value.report.params["detail"]


def test_good_archive() -> None:
    found = look(("./model.json", b"{}"), ("weights/a", b"12345"), link("latest", "weights/a"))
    assert found == ArtifactContents(files=3, bytes=7, wrapper="", listing=(("model.json", 2), ("weights/a", 5)))


def test_only_the_first_files_are_listed_and_none_of_a_file_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "MOST_LISTED", 2)
    found = look(("._a", b"x"), ("a", b"x"), ("b", b"xy"), ("c", b"x"))
    assert (found.files, found.listing) == (3, (("a", 1), ("b", 2)))


@pytest.mark.parametrize(("names", "wrapper"), [
    (["model/a", "model/b"], "model"), (["./model/a", "./model/sub/b"], "model"), (["model/a", "b"], ""),
    (["a/x", "b/x"], ""), (["a"], ""), (["1/saved_model.pb", "1/variables/x"], ""),
    (["model/a", "._model"], "model"), (["model/a", ".DS_Store", "__MACOSX/model/._a"], "model"),
])  # fmt: skip
@detects(12, "SOURCE-ARTIFACT-NESTED")
def test_directory_around_everything(names: list[str], wrapper: str) -> None:
    assert look(*((name, b"x") for name in names)).wrapper == wrapper


@detects(13, "SOURCE-ARTIFACT-JUNK")
def test_files_of_file_managers_are_counted_and_named() -> None:
    found = look(("a", b"x"), ("._a", b"x"), ("d/.DS_Store", b"x"), ("__MACOSX/a", b"x"), ("Thumbs.db", b"x"))
    assert (found.files, found.junk_count) == (1, 4)
    assert found.junk == ("._a", "d/.DS_Store", "__MACOSX/a", "Thumbs.db")


def test_names_that_only_look_like_them_are_left_alone() -> None:
    assert look(("_model", b"x"), (".config", b"x"), ("a._b", b"x"), (".DS_Store.txt", b"x")).junk_count == 0


def test_thousand_of_them_cost_twenty_names() -> None:
    found = look(("a", b"x"), *((f"._{number}", b"") for number in range(1000)))
    assert (found.junk_count, len(found.junk)) == (1000, artifact.MOST_JUNK)


@pytest.mark.parametrize(("entry", "says"), [
    (("/etc/passwd", b"x"), "absolute"), (("a/../../b", b"x"), ".."), (link("a", "/etc/passwd"), "points to"),
    (link("a", "../b"), "points to"), (hard("a", "../b"), ".."), (special("a", tarfile.CHRTYPE), "a device"),
    (special("a", tarfile.FIFOTYPE), "a pipe"),
])  # fmt: skip
@detects(13, "SOURCE-BAD-ARTIFACT")
def test_what_leads_out_or_is_no_file(entry: Entry, says: str) -> None:
    assert says in refusal(("m", b"x"), entry)


@pytest.mark.parametrize(("entries", "says"), [
    ([("v1/a", b"x"), link("latest", "v1"), ("latest/b", b"x")], "'latest/b' lies behind 'latest', a symbolic link"),
    ([link("latest", "v1"), link("latest/c", "a"), ("v1/a", b"x")], "'latest/c' lies behind"),
    ([hard("b", "a"), ("a", b"x")], "'b' has no target before it"),
    ([("s/d/a", b"x"), link("d", "s/d"), link("x", "d/../../y")], "points to"),
    ([("v1/a", b"x"), link("latest", "v1"), ("v1/b", b"x"), ("latest2/b", b"x"), hard("c", "./v1/a")], ""),
])  # fmt: skip
def test_what_fetch_takes_is_what_the_test_unpacks(entries: list[Entry], says: str) -> None:
    def unpack() -> None:
        b"".join(unpacked(io.BytesIO(tar(*entries)), model_files.Limits(1 << 20, 100), model_files.Contents()))

    if not says:
        unpack()
        assert look(*entries).files == 5
        return
    with pytest.raises(ProblemError) as caught:
        unpack()
    assert caught.value.code == "TEST-ARTIFACT"
    assert says in refusal(*entries)


def test_not_gzip_and_empty() -> None:
    assert "gzip" in refusal(("m", b"x"), packed=False)
    assert "no file" in refusal()
    assert "no file" in refusal((".DS_Store", b"x"))


def test_links_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "MAX_LINKS", 10)
    assert "symbolic links" in refusal(("m", b"x"), *(link(f"l{number}", "m") for number in range(11)))
