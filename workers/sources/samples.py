"""Files that a spec names, copied out of a version's normalised archive."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workers.sources import reading

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

    One pass over ``archive``, however many paths. Copies go to ``into``, named by number, so that no name in the
    archive becomes a name on this host. ``check`` is called between files and may raise to stop.
    """
    roots = {path: posixpath.normpath(path) for path in paths}
    found: dict[str, list[Sample]] = {path: [] for path in roots}
    into.mkdir(parents=True, exist_ok=True)
    number = 0
    for name, content, size in reading.files(archive):
        check()
        users = {path: relative for path, root in roots.items() if (relative := _relative(name, root))}
        if not users:
            continue
        number += 1
        copy = into / str(number)
        sha256 = _copy(content, copy)
        for path, relative in users.items():
            found[path].append(Sample(relative, copy, sha256, size))
    return found


def set_digest(samples: Iterable[Sample]) -> str:
    """One digest (hex) for a set of files: of their names, sizes and contents."""
    lines = sorted(f"{sample.sha256} {sample.size} {sample.name}\n" for sample in samples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _relative(name: str, root: str) -> str:
    """``name`` as seen from ``root``, or empty if it is not there."""
    if name == root:
        return posixpath.basename(name)
    if root == ".":
        return name
    return name.removeprefix(f"{root}/") if name.startswith(f"{root}/") else ""


def _copy(content: IO[bytes], target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as out:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()
