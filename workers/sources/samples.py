"""Files that a spec names, taken out of a version's normalised archive."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """``name`` is relative to what the spec named (a file's is its own); ``file`` a private copy; ``size`` in bytes."""

    name: str
    file: Path
    sha256: str
    size: int


def extract(archive: IO[bytes], paths: Iterable[str], into: Path, check: Callable[[], None]) -> dict[str, list[Sample]]:
    """Each path with its files: one for a file, everything below it for a directory, none if it is not there.

    One pass over ``archive`` (tar, any compression). Copies go to ``into``, named by number, so that no name in the
    archive becomes a name on this host.
    """
    wanted = {path: _clean(path) for path in paths}
    found: dict[str, list[Sample]] = {path: [] for path in wanted}
    into.mkdir(parents=True, exist_ok=True)
    number = 0
    with tarfile.open(fileobj=archive, mode="r:*") as tar:
        for member in tar:
            check()
            name = _clean(member.name)
            users = {path: relative for path, root in wanted.items() if (relative := _relative(name, root))}
            source = tar.extractfile(member) if users and not member.isdir() else None
            if source is None:
                continue
            number += 1
            copy = into / str(number)
            sha256, size = _copy(source, copy)
            for path, relative in users.items():
                found[path].append(Sample(relative, copy, sha256, size))
    return found


def set_digest(samples: Iterable[Sample]) -> str:
    """One digest (hex) for a set of files: of their names, sizes and contents."""
    lines = sorted(f"{sample.sha256} {sample.size} {sample.name}\n" for sample in samples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _clean(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _relative(name: str, root: str) -> str:
    """``name`` as seen from ``root``, or empty if it is not there."""
    if name == root:
        return name.rpartition("/")[2]
    if not root:
        return name
    return name.removeprefix(f"{root}/") if name.startswith(f"{root}/") else ""


def _copy(source: IO[bytes], target: Path) -> tuple[str, int]:
    with source, target.open("wb") as out:
        shutil.copyfileobj(source, out, CHUNK)
    with target.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest(), target.stat().st_size
