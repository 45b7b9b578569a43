"""Sample files out of a source: each where it is wanted, however the wanted paths lie in each other."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from listings.problems import ProblemError
from workers.sandbox.model_files import Limits
from workers.sandbox.samples import Samples

FILES = {"samples/in.csv": b"1,2\n", "samples/deep/more.csv": b"3\n", "other": b"x"}
Extract = Callable[..., Samples]


def source() -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    buffer.seek(0)
    return buffer


@pytest.fixture
def extract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Extract:
    @contextmanager
    def open_blob(_: str) -> Iterator[IO[bytes]]:
        yield source()

    monkeypatch.setattr("workers.sandbox.samples.blobs.open_blob", open_blob)
    return lambda *wanted, limit=1000: Samples.extract("sha", wanted, tmp_path / "samples", Limits(limit, 100))


def test_a_file_inside_a_directory_that_is_wanted_too_is_both(extract: Extract) -> None:
    samples = extract("samples", "samples/in.csv", "samples/deep", "samples/deep/more.csv")
    assert samples.read("samples/in.csv") == b"1,2\n"
    assert samples.read("samples/deep/more.csv") == b"3\n"
    assert [name for name, _ in samples.files("samples")] == ["deep/more.csv", "in.csv"]
    assert [(name, path.read_bytes()) for name, path in samples.files("samples/deep")] == [("more.csv", b"3\n")]
    assert [name for name, _ in samples.files("samples/in.csv")] == ["in.csv"]


def test_the_whole_source_can_be_a_sample(extract: Extract) -> None:
    samples = extract(".", "samples")
    assert [name for name, _ in samples.files(".")] == ["other", "samples/deep/more.csv", "samples/in.csv"]
    assert [name for name, _ in samples.files("samples")] == ["deep/more.csv", "in.csv"]


def test_what_is_wanted_twice_takes_no_more_of_the_room(extract: Extract) -> None:
    extract("samples", "samples/in.csv", limit=6)
    with pytest.raises(ProblemError) as raised:
        extract("samples", "samples/in.csv", limit=5)
    assert raised.value.code == "TEST-SAMPLE-SIZE"


def test_what_is_not_there_is_named(extract: Extract) -> None:
    with pytest.raises(ProblemError) as raised:
        extract("samples", "samples/in")
    assert raised.value.report.params == {"path": "samples/in"}
