"""Sample files out of the source archive that ``fetch`` stored: read in one pass, by path."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from listings import blobs
from listings.problems import ProblemError
from listings.spec.models import VersionSpec
from workers.sandbox.model_files import Limits, UnsafeArchive, safe_name


class Samples:
    """Each wanted path of the source as a file or a directory of the attempt's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, Path] = {}

    @classmethod
    def extract(cls, archive_sha256: str, wanted: Iterable[str], folder: Path, limits: Limits) -> Samples:
        """Raises ProblemError TEST-SAMPLE-MISSING, TEST-SAMPLE-SIZE."""
        samples = cls(folder)
        paths = sorted(set(wanted))
        total = 0
        with blobs.open_blob(archive_sha256) as stored, tarfile.open(fileobj=stored, mode="r|*") as archive:
            for member in archive:
                places = samples._places_of(member.name, paths) if member.isfile() else []
                source = archive.extractfile(member) if places else None
                if source is None:
                    continue
                total += member.size
                if total > limits.bytes:
                    raise ProblemError("TEST-SAMPLE-SIZE", limit_mb=limits.bytes >> 20)
                _write(source, places)
        for path in paths:
            if path not in samples._places:
                raise ProblemError("TEST-SAMPLE-MISSING", path=path)
        return samples

    def _places_of(self, name: str, wanted: list[str]) -> list[Path]:
        """Where a file of the source belongs: a sample may lie in a directory that is another sample."""
        try:
            clean = safe_name(name, "")
        except UnsafeArchive:
            return []
        places = []
        for index, path in enumerate(wanted):
            folder = "" if path == "." else path.rstrip("/") + "/"
            if clean == path:
                self._places[path] = self._folder / f"{index}.file" / Path(path).name
                places.append(self._places[path])
            elif clean.startswith(folder):
                self._places[path] = self._folder / f"{index}.dir"
                places.append(self._places[path] / clean[len(folder) :])
        return places

    def read(self, path: str) -> bytes:
        """A file sample's content. Raises ProblemError TEST-SAMPLE-MISSING where it is a directory."""
        return self._file(path).read_bytes()

    def size(self, path: str) -> int:
        """Bytes of a file sample. Raises ProblemError TEST-SAMPLE-MISSING where it is a directory."""
        return self._file(path).stat().st_size

    def _file(self, path: str) -> Path:
        if not self._places[path].is_file():
            raise ProblemError("TEST-SAMPLE-MISSING", path=path)
        return self._places[path]

    def files(self, path: str) -> list[tuple[str, Path]]:
        """(name below the sample, file) of a file sample or of everything in a directory sample."""
        place = self._places[path]
        if place.is_file():
            return [(place.name, place)]
        return [(str(file.relative_to(place)), file) for file in sorted(place.rglob("*")) if file.is_file()]


def _write(source: IO[bytes], places: list[Path]) -> None:
    """Write a file's content to the first place, and link the others to it: it takes no more room."""
    first, *others = places
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
    with first.open("wb") as target:
        shutil.copyfileobj(source, target)
    for place in others:
        place.hardlink_to(first)


def wanted_by(spec: VersionSpec) -> list[str]:
    return [path for _, path in spec.sample_paths()]
