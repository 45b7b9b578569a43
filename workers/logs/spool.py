"""The log on the worker's disk: the first and the last megabytes, readable after any kind of death.

Every record is one unbuffered append, so a killed worker loses at most the line it was writing.
"""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

from listings.livelog import FORMAT_VERSION, LineKind, Record, decode

_HEAD = "head.jsonl"
_TAIL = "tail-*.jsonl"
_STORED = "log.jsonl.gz"


@dataclass(frozen=True, slots=True)
class LogLimits:
    """Bytes as written to disk. Of a longer log the first ``head`` and at least the last ``tail`` stay."""

    head: int = 2 * 1024**2
    tail: int = 8 * 1024**2
    segment: int = 1024**2


@dataclass(frozen=True, slots=True)
class FinishedLog:
    """``path`` is gzipped JSON lines, to be stored under its SHA-256. ``lines`` is the number of the last
    line, ``dropped`` how many of them are not in the file."""

    path: Path
    lines: int
    dropped: int

    def open(self) -> IO[bytes]:
        return self.path.open("rb")


def spool_path(spool_dir: Path, attempt_id: UUID) -> Path:
    """The directory of one attempt's spool."""
    return spool_dir / str(attempt_id)


def leftovers(spool_dir: Path) -> list[UUID]:
    """Attempts whose spool is still here: running ones, and those whose worker died."""
    found = []
    for entry in spool_dir.iterdir() if spool_dir.is_dir() else ():
        try:
            found.append(UUID(entry.name))
        except ValueError:
            continue
    return found


class Spool:
    """Not thread-safe; the writer holds a lock. Continues what an earlier writer of the same attempt left."""

    def __init__(self, path: Path, header: dict[str, object], limits: LogLimits) -> None:
        self.path = path
        self._limits = limits
        path.mkdir(parents=True, exist_ok=True)
        (path / _STORED).unlink(missing_ok=True)
        self._segments = _tail_files(path)
        self.last_number = max((record.number for record in _records(path)), default=0)
        self._torn = False
        current = self._segments[-1] if self._segments else path / _HEAD
        self._file = current.open("ab", buffering=0)
        self._size = current.stat().st_size
        if self._size == 0 and not self._segments:
            self._write(json.dumps({"slipway_log": FORMAT_VERSION, **header}).encode())
        elif self._size:
            # The earlier writer may have died inside a line.
            self._torn = True

    def append(self, encoded: bytes) -> None:
        """Raises OSError when the disk refuses; the next append starts on a fresh line."""
        limit = self._limits.segment if self._segments else self._limits.head
        if self._size and self._size + len(encoded) + 1 > limit:
            self._turn()
        self._write(encoded)

    def _write(self, encoded: bytes) -> None:
        data = (b"\n" if self._torn else b"") + encoded + b"\n"
        self._torn = True
        written = self._file.write(data)
        self._size += written or 0
        self._torn = written != len(data)

    def _turn(self) -> None:
        number = int(self._segments[-1].stem.removeprefix("tail-")) + 1 if self._segments else 1
        segment = self.path / f"tail-{number:06d}.jsonl"
        following = segment.open("ab", buffering=0)
        self._file.close()
        self._file, self._size, self._torn = following, 0, False
        self._segments.append(segment)
        # The newest segment is still filling: as many full ones as make up the tail stay beside it.
        keep = max(1, -(-self._limits.tail // self._limits.segment)) + 1
        while len(self._segments) > keep:
            self._segments.pop(0).unlink(missing_ok=True)

    def close(self) -> None:
        self._file.close()


def _tail_files(path: Path) -> list[Path]:
    return sorted(path.glob(_TAIL))


def _records(path: Path) -> Iterator[Record]:
    for file in [path / _HEAD, *_tail_files(path)]:
        if not file.exists():
            continue
        with file.open("rb") as lines:
            for line in lines:
                record = decode(line)
                if record is not None:
                    yield record


def _with_markers(records: Iterator[Record]) -> Iterator[Record]:
    """``records`` with a marker wherever numbers are missing: a dropped middle, or a torn line."""
    expected = 1
    for record in records:
        if record.number > expected:
            yield Record(expected, record.time, LineKind.DROPPED, "", record.number - expected)
        yield record
        expected = record.number + max(record.missing, 1)


def pack(path: Path, closing: str | None = None) -> FinishedLog | None:
    """Turn a spool into what is stored; ``closing`` adds a last line of ours. None if nothing was ever written."""
    if not (path / _HEAD).exists():
        return None
    lines = dropped = 0
    stored, partial = path / _STORED, path / f"{_STORED}.part"
    with partial.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as out:
        out.write(_header(path))
        for record in _with_markers(_records(path)):
            if record.kind == LineKind.DROPPED:
                dropped += record.missing
            lines = record.number + max(record.missing, 1) - 1
            out.write(record.encode().encode() + b"\n")
        if closing is not None:
            lines += 1
            out.write(Record(lines, round(time.time(), 3), LineKind.SLIPWAY, closing).encode().encode() + b"\n")
    partial.replace(stored)
    return FinishedLog(stored, lines, dropped)


def _header(path: Path) -> bytes:
    with (path / _HEAD).open("rb") as head:
        line = head.readline()
    return line if line.startswith(b'{"slipway_log"') and line.endswith(b"\n") else b'{"slipway_log": 1}\n'


def recover(path: Path, *, died: bool = True) -> FinishedLog | None:
    """For the reaper: the log of an attempt whose worker is gone, from ``spool_path(...)``. None if it left none.

    ``died`` False: the worker ended the attempt, and only had nowhere to store its log.
    """
    closing = "The worker that ran this attempt stopped before it ended. The log ends here."
    return pack(path, closing=closing if died else None)


def discard(path: Path) -> None:
    """Remove a spool once its log is stored."""
    shutil.rmtree(path, ignore_errors=True)
