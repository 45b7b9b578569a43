"""Any build context -> one normalised archive: the same files always give the same bytes.

Normalised means: tar.gz, members sorted, every parent directory present, owner 0, one fixed time, modes 0755
and 0644 by the executable bit, hard links made into files, no duplicates, no ``.git``, nothing that leads out.
Contents go through one scratch file on disk, never through memory.
"""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from listings.problems import ProblemError
from workers.sources.members import CHUNK, Kind, Limits, Member, damaged, members, readable, shown
from workers.sources.names import clean, leads_out, parents

#: 1980-01-01, UTC: the first moment that zip, and so Python's wheels, can express.
FIXED_TIME = 315_532_800
#: Longest target of a symbolic link, in bytes.
MAX_TARGET = 1024
#: Left out wherever they are: history, and what macOS adds to archives by itself.
_LEFT_OUT = (".git", "__MACOSX", ".DS_Store")


@dataclass(slots=True)
class Entry:
    """A file's bytes lie at ``offset`` of the scratch file."""

    kind: Kind
    size: int = 0
    offset: int = 0
    executable: bool = False
    target: str = ""


@dataclass(frozen=True, slots=True)
class Normalised:
    """``entries`` maps each name to its entry; ``bytes`` is what all files hold; ``notes`` is for the log."""

    entries: dict[str, Entry]
    files: int
    bytes: int
    notes: tuple[str, ...]

    def has_file(self, name: str) -> bool:
        return name in self.entries and self.entries[name].kind is Kind.FILE

    def has_data(self, name: str) -> bool:
        """A file, or a directory with a file below it."""
        below = "" if name == "." else name.rstrip("/") + "/"
        return self.has_file(name) or any(
            entry.kind is Kind.FILE and other.startswith(below) for other, entry in self.entries.items()
        )

    def root_names(self) -> list[str]:
        return sorted(name for name in self.entries if "/" not in name)


@dataclass(slots=True)
class _Collector:
    scratch: IO[bytes]
    limits: Limits
    entries: dict[str, Entry] = field(default_factory=dict)
    total: int = 0
    left_out: int = 0
    made_executable: int = 0

    def take(self, member: Member) -> None:
        name = clean(member.name)
        if not name:
            return
        if any(part in _LEFT_OUT or part.startswith("._") for part in name.split("/")):
            self.left_out += 1
            return
        if member.kind is Kind.DIRECTORY:
            self._put(name, Entry(Kind.DIRECTORY))
        elif member.kind is Kind.SYMLINK:
            self._put(name, Entry(Kind.SYMLINK, target=_link_target(name, member.target)))
        elif member.kind is Kind.HARDLINK:
            self._put(name, self._linked(name, member.target))
        else:
            self._put(name, self._stored(member))

    def _put(self, name: str, entry: Entry) -> None:
        known = self.entries.get(name)
        if known is not None and not known.kind is entry.kind is Kind.DIRECTORY:
            code = "SOURCE-DUPLICATE" if known.kind is entry.kind else "SOURCE-PATH-CONFLICT"
            raise ProblemError(code, member=shown(name))
        self.entries[name] = entry

    def _grow(self, size: int) -> None:
        self.total += size
        if self.total > self.limits.bytes:
            what = f"Its files hold more than {readable(self.limits.bytes)}"
            raise ProblemError("SOURCE-TOO-LARGE", what=what, limit=readable(self.limits.bytes))

    def _linked(self, name: str, target: str) -> Entry:
        """A hard link, as a file of its own: its bytes count again, because they are written again."""
        try:
            original = self.entries.get(clean(target))
        except ProblemError as error:
            raise ProblemError("SOURCE-LINK-ESCAPE", member=shown(name), target=shown(target)) from error
        if original is None or original.kind is not Kind.FILE:
            raise ProblemError("SOURCE-LINK-BROKEN", member=shown(name), target=shown(target))
        self._grow(original.size)
        return Entry(Kind.FILE, original.size, original.offset, original.executable)

    def _stored(self, member: Member) -> Entry:
        assert member.content is not None
        offset, size, start = self.scratch.tell(), 0, b""
        while chunk := member.content.read(CHUNK):
            start = start or chunk[:2]
            size += len(chunk)
            self._grow(len(chunk))
            self.scratch.write(chunk)
        if size != member.size:
            raise damaged(f"{shown(member.name)} is cut short")
        executable = member.executable
        if executable is None:
            executable = start == b"#!"
            self.made_executable += executable
        return Entry(Kind.FILE, size, offset, executable)


def normalise(
    upload: IO[bytes],
    packed: int,
    target: Path,
    limits: Limits,
    check: Callable[[], None] = lambda: None,
    dockerfile: str = "",
) -> Normalised:
    """Write the normalised form of ``upload`` (seekable, ``packed`` bytes long) to ``target``.

    A single directory that wraps everything is stripped, unless ``dockerfile`` (of a spec filled in by form)
    names a file that is only there without stripping. ``check`` is called often and may raise to stop.
    The scratch file lies beside ``target`` and is removed. Raises ProblemError SOURCE-*.
    """
    with _scratch_beside(target) as scratch:
        collector = _Collector(scratch, limits)
        for member in members(upload, packed, limits, check):
            collector.take(member)
        notes = _notes(collector)
        entries, stripped = _without_wrapper(collector.entries, dockerfile)
        if stripped:
            notes.append(f"Everything lies in “{shown(stripped)}/”, so that directory is taken as the root.")
        return _finish(entries, notes, scratch, target, limits, check)


def normalise_members(
    given: Iterable[Member], target: Path, limits: Limits, check: Callable[[], None] = lambda: None
) -> Normalised:
    """``normalise`` for what is no upload: ``given`` are its members, and their root is the root."""
    with _scratch_beside(target) as scratch:
        collector = _Collector(scratch, limits)
        for member in given:
            check()
            collector.take(member)
        return _finish(collector.entries, _notes(collector), scratch, target, limits, check)


@contextmanager
def _scratch_beside(target: Path) -> Iterator[IO[bytes]]:
    path = target.with_name(target.name + ".scratch")
    try:
        with path.open("w+b") as scratch:
            yield scratch
    finally:
        path.unlink(missing_ok=True)


def _finish(
    entries: dict[str, Entry],
    notes: list[str],
    scratch: IO[bytes],
    target: Path,
    limits: Limits,
    check: Callable[[], None],
) -> Normalised:
    entries = _with_parents(entries, limits)
    _refuse_bad_links(entries)
    if not any(entry.kind is Kind.FILE for entry in entries.values()):
        raise ProblemError("SOURCE-EMPTY")
    _write(entries, scratch, target, check)
    files = [entry for entry in entries.values() if entry.kind is Kind.FILE]
    return Normalised(entries, len(files), sum(entry.size for entry in files), tuple(notes))


def _notes(collector: _Collector) -> list[str]:
    notes = []
    if collector.left_out:
        notes.append(f"{collector.left_out} entries were left out (.git, and what macOS adds).")
    if collector.made_executable:
        count = collector.made_executable
        notes.append(f"The zip has no file modes: {count} scripts that begin with #! were made executable.")
    return notes


def _link_target(name: str, target: str) -> str:
    if not target or "\0" in target or len(target.encode("utf-8", "surrogateescape")) > MAX_TARGET:
        raise ProblemError("SOURCE-BAD-NAME", member=shown(name))
    return target


def _without_wrapper(entries: dict[str, Entry], dockerfile: str) -> tuple[dict[str, Entry], str]:
    tops = {name.partition("/")[0] for name in entries}
    top = next(iter(tops), "")
    is_directory = top not in entries or entries[top].kind is Kind.DIRECTORY
    if len(tops) != 1 or not is_directory or (dockerfile in entries and f"{top}/{dockerfile}" not in entries):
        return entries, ""
    if not any("/" in name for name in entries):
        return entries, ""
    return {name[len(top) + 1 :]: entry for name, entry in entries.items() if name != top}, top


def _with_parents(entries: dict[str, Entry], limits: Limits) -> dict[str, Entry]:
    """Every parent directory is there, and no file or link is anybody's parent."""
    complete = dict(entries)
    for name in entries:
        for parent in parents(name):
            if complete.setdefault(parent, Entry(Kind.DIRECTORY)).kind is not Kind.DIRECTORY:
                raise ProblemError("SOURCE-PATH-CONFLICT", member=shown(name))
        if len(complete) > 2 * limits.files:
            what = "It has too many files and directories"
            raise ProblemError("SOURCE-TOO-LARGE", what=what, limit=f"{limits.files:,}")
    return complete


def _refuse_bad_links(entries: dict[str, Entry]) -> None:
    links = {name: entry.target for name, entry in entries.items() if entry.kind is Kind.SYMLINK}
    for name, target in links.items():
        if leads_out(name, links):
            raise ProblemError("SOURCE-LINK-ESCAPE", member=shown(name), target=shown(target))


def _write(entries: dict[str, Entry], scratch: IO[bytes], target: Path, check: Callable[[], None]) -> None:
    with (
        target.open("wb") as raw,
        # No name and no time in the gzip header either. Level 3: sources are read more often than kept.
        gzip.GzipFile(filename="", mode="wb", compresslevel=3, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=cast("IO[bytes]", packed), mode="w|", format=tarfile.PAX_FORMAT) as output,
    ):
        for name in sorted(entries):
            check()
            _add(output, name, entries[name], scratch)


def _add(output: tarfile.TarFile, name: str, entry: Entry, scratch: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.mtime = FIXED_TIME
    if entry.kind is Kind.DIRECTORY:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        output.addfile(info)
    elif entry.kind is Kind.SYMLINK:
        info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, entry.target
        output.addfile(info)
    else:
        info.mode, info.size = 0o755 if entry.executable else 0o644, entry.size
        scratch.seek(entry.offset)
        output.addfile(info, scratch)
