"""Checks ``model.tar.gz`` as SageMaker will unpack it, without unpacking it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from listings.problems import ProblemError, fill, get
from workers.sources.members import CHUNK, Kind, Limits, members
from workers.sources.names import clean, leads_out

#: A batch transform job has 30 GB of disk for image, archive and unpacked files together.
MAX_BYTES = 30 * 1000**3
MAX_MEMBERS = 1_000_000


@dataclass(frozen=True, slots=True)
class ArtifactContents:
    """``wrapper`` is the one directory that holds everything, or empty. ``bytes`` after unpacking."""

    files: int
    bytes: int
    wrapper: str


def examine(artifact: IO[bytes], packed: int, name: str, check: Callable[[], None]) -> ArtifactContents:
    """Read ``artifact`` (seekable, ``packed`` bytes) to its end. Raises ProblemError SOURCE-BAD-ARTIFACT."""
    artifact.seek(0)
    if artifact.read(2) != b"\x1f\x8b":
        raise ProblemError("SOURCE-BAD-ARTIFACT", name=name, detail="it is not compressed with gzip")
    # Weights of zeros pack well, so the ratio says nothing here; the size does.
    limits = Limits(bytes=MAX_BYTES, files=MAX_MEMBERS, ratio=None)
    try:
        return _examine(artifact, packed, limits, check)
    except ProblemError as error:
        if not error.code.startswith("SOURCE-"):
            raise
        detail = fill(get(error.code).cause, error.report.params).rstrip(".")
        raise ProblemError("SOURCE-BAD-ARTIFACT", name=name, detail=detail) from error


def _examine(artifact: IO[bytes], packed: int, limits: Limits, check: Callable[[], None]) -> ArtifactContents:
    files = total = 0
    tops: set[str] = set()
    at_root = False
    links: dict[str, str] = {}
    for member in members(artifact, packed, limits, check):
        name = clean(member.name)
        if not name:
            continue
        if member.kind is Kind.SYMLINK:
            links[name] = member.target
        if member.kind is Kind.HARDLINK:
            clean(member.target)
        if member.kind is not Kind.DIRECTORY:
            files += 1
            tops.add(name.partition("/")[0])
            at_root = at_root or "/" not in name
        # Reading to the end is what proves that the archive is whole.
        while member.content is not None and (chunk := member.content.read(CHUNK)):
            total += len(chunk)
    for name, target in links.items():
        if leads_out(name, links):
            raise ProblemError("SOURCE-LINK-ESCAPE", member=name, target=target)
    if not files:
        raise ProblemError("SOURCE-EMPTY")
    return ArtifactContents(files, total, tops.pop() if len(tops) == 1 and not at_root else "")
