"""Checks ``model.tar.gz`` as SageMaker will unpack it, without unpacking it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from listings.problems import ProblemError, fill, get
from workers.sources.members import CHUNK, Kind, Limits, Member, members, shown
from workers.sources.names import clean, leads_out, parents

#: A batch transform job has 30 GB of disk for image, archive and unpacked files together.
MAX_BYTES = 30 * 1000**3
MAX_MEMBERS = 1_000_000
#: Links are kept until the end, to see where they lead.
MAX_LINKS = 20_000


#: What file managers leave beside the files: attributes, views, thumbnails.
_JUNK = re.compile(r"(?:^|/)(?:\._[^/]*|\.DS_Store|__MACOSX|Thumbs\.db|desktop\.ini)(?:/|$)")
MOST_JUNK, MOST_LISTED = 20, 200


@dataclass(frozen=True, slots=True)
class ArtifactContents:
    """``wrapper`` is the one directory that holds everything, or empty. ``bytes`` after unpacking. ``junk``: the first
    names, of ``junk_count``, that a desktop's file manager has left. ``listing``: the first files, (name, bytes)."""

    files: int
    bytes: int
    wrapper: str
    junk: tuple[str, ...] = ()
    junk_count: int = 0
    listing: tuple[tuple[str, int], ...] = ()


def examine(artifact: IO[bytes], packed: int, name: str, check: Callable[[], None]) -> ArtifactContents:
    """Read ``artifact`` (seekable, ``packed`` bytes) to its end. Raises ProblemError SOURCE-BAD-ARTIFACT."""
    artifact.seek(0)
    if artifact.read(2) != b"\x1f\x8b":
        raise ProblemError("SOURCE-BAD-ARTIFACT", name=name, detail="it is not compressed with gzip")
    # Weights of zeros pack well, so the ratio says nothing here; the size does.
    limits = Limits(bytes=MAX_BYTES, files=MAX_MEMBERS, ratio=None)
    try:
        return _examine(artifact, packed, limits, check)
    except _Refused as error:
        raise ProblemError("SOURCE-BAD-ARTIFACT", name=name, detail=str(error)) from error
    except ProblemError as error:
        if not error.code.startswith("SOURCE-"):
            raise
        detail = fill(get(error.code).cause, error.report.params).rstrip(".")
        raise ProblemError("SOURCE-BAD-ARTIFACT", name=name, detail=detail) from error


def _examine(artifact: IO[bytes], packed: int, limits: Limits, check: Callable[[], None]) -> ArtifactContents:
    found = _Found()
    for member in members(artifact, packed, limits, check):
        name = clean(member.name)
        if name:
            found.add(member, name)
    return found.contents()


def _reads_as_outside(name: str, target: str) -> bool:
    """Whether a link's text alone leads out, which no engine unpacks, wherever other links would take it."""
    aim = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return target.startswith("/") or aim == ".." or aim.startswith("../")


class _Refused(Exception):
    """The archive holds what would not be unpacked; the message says what."""


class _Found:
    """Collects what the archive holds, member by member."""

    def __init__(self) -> None:
        self.files = self.bytes = self.junk_count = 0
        self.tops: set[str] = set()
        self.at_root = False
        self.links: dict[str, str] = {}
        self.names: set[str] = set()
        self.junk: list[str] = []
        self.listing: list[tuple[str, int]] = []

    def add(self, member: Member, name: str) -> None:
        self._judge_place(name)
        if member.kind is Kind.SYMLINK:
            if _reads_as_outside(name, member.target):
                raise ProblemError("SOURCE-LINK-ESCAPE", member=shown(name), target=shown(member.target))
            self.links[name] = member.target
            if len(self.links) > MAX_LINKS:
                what, limit = "It has too many symbolic links", f"{MAX_LINKS:,}"
                raise ProblemError("SOURCE-TOO-LARGE", what=what, limit=limit)
        if member.kind is Kind.HARDLINK and clean(member.target) not in self.names:
            raise _Refused(f"the hard link {shown(name)!r} has no target before it in the archive")
        self.names.add(name)
        if _JUNK.search(name):
            self.junk_count += 1
            if len(self.junk) < MOST_JUNK:
                self.junk.append(shown(name))
        elif member.kind is not Kind.DIRECTORY:
            self.files += 1
            # One name more than one is as good as all of them.
            if len(self.tops) < 2:
                self.tops.add(name.partition("/")[0])
            self.at_root = self.at_root or "/" not in name
        # Reading to the end is what proves that the archive is whole.
        before = self.bytes
        while member.content is not None and (chunk := member.content.read(CHUNK)):
            self.bytes += len(chunk)
        if member.content is not None and len(self.listing) < MOST_LISTED and not _JUNK.search(name):
            self.listing.append((shown(name), self.bytes - before))

    def _judge_place(self, name: str) -> None:
        """What the test's unpacking refuses is refused here: GNU tar alone follows the link, if it leads anywhere yet,
        and what SageMaker unpacks with is not documented."""
        link = next((parent for parent in parents(name) if parent in self.links), "") if self.links else ""
        if link:
            raise _Refused(
                f"{shown(name)!r} lies behind {shown(link)!r}, a symbolic link that comes before it: some programs "
                "write it to where the link leads, others refuse it"
            )

    def contents(self) -> ArtifactContents:
        for name, target in self.links.items():
            if leads_out(name, self.links):
                raise ProblemError("SOURCE-LINK-ESCAPE", member=name, target=target)
        if not self.files:
            raise ProblemError("SOURCE-EMPTY")
        wrapper = min(self.tops) if len(self.tops) == 1 and not self.at_root else ""
        # TensorFlow Serving looks for directories that are named by a version.
        wrapper = "" if wrapper.isdecimal() else wrapper
        junk, listing = tuple(self.junk), tuple(self.listing)
        return ArtifactContents(self.files, self.bytes, wrapper, junk, self.junk_count, listing)
