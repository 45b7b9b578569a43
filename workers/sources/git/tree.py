"""What a commit holds, read straight from its repository: nothing of a seller's is ever checked out under its name.

So neither links, nor case, nor ``.git`` in a path, nor filters, nor hooks can do anything. Files are as they were
committed: no line ends are converted.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from workers.sources.git.runner import LAST_LINES, Git, GitFailed, failure
from workers.sources.members import CHUNK, MAX_LINK, Kind, Member

LINK, SUBMODULE = "120000", "160000"
_EXECUTABLE = "100755"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, a link or a submodule; ``size`` in bytes, 0 for a submodule. ``path`` is within its repository."""

    mode: str
    oid: str
    size: int
    path: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry at its place in the source. ``content`` is a file of ours that stands for it (from LFS)."""

    name: str
    entry: Entry
    repository: Path
    content: Path | None = None


def entries(git: Git, repository: Path, commit: str) -> Iterator[Entry]:
    """Everything in ``commit`` but its directories, one after the other: nested trees list millions in a few bytes.

    Raises GitFailed, ProblemError SOURCE-TOO-LARGE.
    """
    listed = git.run(f"--git-dir={repository}", "ls-tree", "-r", "-l", "-z", "--full-tree", commit)
    begin = 0
    while (end := listed.find(b"\0", begin)) >= 0:
        yield _entry(listed[begin:end])
        begin = end + 1


def _entry(line: bytes) -> Entry:
    """``mode type oid size<tab>path`` (git-ls-tree(1), with ``-l``)."""
    facts, _, path = line.partition(b"\t")
    mode, _kind, oid, size = facts.decode("ascii").split()
    return Entry(mode, oid, int(size) if size.isdigit() else 0, path.decode("utf-8", "surrogateescape"))


def members(git: Git, leaves: Iterable[Leaf]) -> Iterator[Member]:
    """``leaves`` as members of an archive. A member's content is valid until the next is asked for."""
    by_repository: dict[Path, list[Leaf]] = {}
    for leaf in leaves:
        by_repository.setdefault(leaf.repository, []).append(leaf)
    for repository, group in by_repository.items():
        with Blobs(git, repository) as blobs:
            for leaf in group:
                yield from _member(leaf, blobs)


def _member(leaf: Leaf, blobs: Blobs) -> Iterator[Member]:
    entry = leaf.entry
    if entry.mode == SUBMODULE:
        yield Member(leaf.name, Kind.DIRECTORY, 0, True, "", None)
    elif entry.mode == LINK:
        target = blobs.read(entry.oid, MAX_LINK).decode("utf-8", "surrogateescape")
        yield Member(leaf.name, Kind.SYMLINK, 0, False, target, None)
    elif leaf.content is not None:
        with leaf.content.open("rb") as file:
            size = leaf.content.stat().st_size
            yield Member(leaf.name, Kind.FILE, size, entry.mode == _EXECUTABLE, "", file)
    else:
        content = blobs.open(entry.oid)
        yield Member(leaf.name, Kind.FILE, content.left, entry.mode == _EXECUTABLE, "", cast("IO[bytes]", content))
        content.skip()


class Blobs:
    """One ``git cat-file --batch`` (see its manual), asked for one blob after the other."""

    def __init__(self, git: Git, repository: Path) -> None:
        self._running = git.start(f"--git-dir={repository}", "cat-file", "--batch", given=subprocess.PIPE)
        self._child: subprocess.Popen[bytes]

    def __enter__(self) -> Blobs:
        self._child = self._running.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.__exit__(None, None, None)

    def open(self, oid: str) -> Content:
        """Raises GitFailed for an object that the repository has not."""
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(f"{oid}\n".encode())
        child.stdin.flush()
        head = child.stdout.readline().decode("ascii", "replace").split()
        if not head:
            raise self._ended(child)
        if len(head) != 3 or head[1] != "blob":
            raise GitFailed(1, (f"fatal: the repository lacks the object {oid}",))
        return Content(cast("io.BufferedReader", child.stdout), int(head[2]))

    def _ended(self, child: subprocess.Popen[bytes]) -> Exception:
        """Why it has ended, in its own words."""
        assert child.stderr is not None
        said = child.stderr.read(CHUNK).decode("utf-8", "replace").splitlines()
        return failure(child.wait(), tuple(said[-LAST_LINES:]))

    def read(self, oid: str, limit: int) -> bytes:
        """At most ``limit`` bytes of it."""
        content = self.open(oid)
        data = content.read(limit)
        content.skip()
        return data


class Content:
    """One blob in the stream: ``left`` bytes, and a line end that is not part of it."""

    def __init__(self, source: io.BufferedReader, size: int) -> None:
        self._source, self.left = source, size

    def read(self, size: int = CHUNK) -> bytes:
        data = self._source.read(min(size, self.left) if size >= 0 else self.left)
        self.left -= len(data)
        return data

    def skip(self) -> None:
        """To the next blob."""
        while self.read(CHUNK):
            pass
        self._source.read(1)
