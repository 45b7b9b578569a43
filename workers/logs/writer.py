"""The log that a step writes to."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from uuid import UUID

from listings.livelog import LineKind, Record, read_records
from workers.logs import spool as spools
from workers.logs.lines import LineSplitter, clip, tidy
from workers.logs.live import LivePublisher
from workers.logs.redact import Redactor
from workers.logs.spool import FinishedLog, LogLimits, Spool

logger = logging.getLogger(__name__)

#: Lines that ``tail`` can answer with.
TAIL_LINES = 400


class AttemptLog:
    """Fulfils ``workers.steps.contract.Log``; safe to use from several threads.

    Whole lines go through ``line`` and ``section``; an engine's chunks through ``feed``. A second writer of
    the same attempt (one that was parked) goes on where the first stopped: from its spool if that is on this
    host, and from ``previous``, the stored log so far, if another host has written since.
    """

    def __init__(
        self,
        attempt_id: UUID,
        owner_id: UUID,
        step: str,
        redis_url: str,
        spool_dir: Path,
        secrets: Sequence[str] = (),
        *,
        number: int = 1,
        limits: LogLimits | None = None,
        previous: IO[bytes] | None = None,
    ) -> None:
        self._redactor = Redactor(secrets)
        self._splitters: dict[str, LineSplitter] = {}
        self._lock = threading.RLock()
        self._tail: deque[tuple[int, str]] = deque(maxlen=TAIL_LINES)
        self._closed = False
        self._disk_refused = False
        header = {"attempt": str(attempt_id), "owner": str(owner_id), "step": step, "number": number}
        path = spools.spool_path(spool_dir, attempt_id)
        self._spool = Spool(path, header, limits or LogLimits())
        for record in read_records(previous) if previous is not None else ():
            # What this host's spool has already is passed over; another host may have gone on after it.
            if record.number > self._spool.last_number:
                self._spool.append(record.encode().encode())
                self._spool.last_number = record.number + max(record.missing, 1) - 1
        self._last = self._spool.last_number
        self._live = LivePublisher(redis_url, owner_id, attempt_id, step, number, first=self._last + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def lines(self) -> int:
        """The number of the last line."""
        return self._last

    @property
    def path(self) -> Path:
        """The spool's directory."""
        return self._spool.path

    def line(self, text: str, stream: str = "out", lost: int = 0) -> int:
        """Write one line (or several, if ``text`` holds line ends), of which ``lost`` bytes were never kept.

        Returns the number of the first.
        """
        first = 0
        for part in text.split("\n") if "\n" in text else (text,):
            shown = part.rstrip("\r").rpartition("\r")[2] if "\r" in part else part
            number = self._write(shown, _kind(stream), lost)
            first = first or number
        return first

    def section(self, title: str) -> int:
        """Start a foldable section; it reaches to the next one."""
        return self._write(title.replace("\n", " "), LineKind.SECTION, 0)

    def feed(self, chunk: bytes, stream: str = "out") -> None:
        """Bytes as they come: lines may be cut anywhere, characters and secrets too. Progress bars
        (carriage returns) leave their last state; what is no UTF-8 becomes U+FFFD."""
        with self._lock:
            splitter = self._splitters.setdefault(stream, LineSplitter())
            self._write_all(splitter.feed(chunk), stream)

    def end_stream(self, stream: str | None = None) -> None:
        """Write the unfinished last line of a fed stream (or of all): its source has ended."""
        with self._lock:
            for name in [stream] if stream else list(self._splitters):
                splitter = self._splitters.pop(name, None)
                if splitter is not None:
                    self._write_all(splitter.finish(), name)

    def tail(self, count: int) -> list[tuple[int, str]]:
        """The last lines (at most TAIL_LINES) as (number, text), for evidence."""
        with self._lock:
            return list(self._tail)[-count:] if count > 0 else []

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Mask these from now on, too: credentials that only became known during the step."""
        with self._lock:
            self._redactor.add(secrets)

    def close(self, timeout: float = 2.0) -> None:
        """Write unfinished lines and let the live view catch up, waiting at most ``timeout`` seconds for Redis.
        The spool stays until ``discard``."""
        with self._lock:
            if self._closed:
                return
            self.end_stream()
            self._closed = True
            self._spool.close()
        self._live.close(timeout)

    def finish(self) -> FinishedLog:
        """Close, and pack the spool into the file to be stored. Call ``discard`` once it is."""
        self.close()
        finished = spools.pack(self._spool.path)
        assert finished is not None
        return finished

    def discard(self) -> None:
        """Remove the spool."""
        spools.discard(self._spool.path)

    def _write_all(self, lines: Iterable[tuple[str, int]], stream: str) -> None:
        kind = _kind(stream)
        for text, lost in lines:
            self._write(text, kind, lost)

    def _write(self, text: str, kind: LineKind, lost: int) -> int:
        with self._lock:
            if self._closed:
                # A reader thread that outlives its step has nobody left to tell.
                return self._last
            text = clip(self._redactor.clean(tidy(text), kind), lost)
            self._last += 1
            encoded = Record(self._last, round(time.time(), 3), kind, text).encode()
            self._keep(encoded)
            self._tail.append((self._last, text))
            self._live.push(self._last, encoded)
            return self._last

    def _keep(self, encoded: str) -> None:
        try:
            self._spool.append(encoded.encode())
        except OSError as error:
            # The live view still has the line; the stored log says that it is missing.
            if not self._disk_refused:
                logger.exception("log spool %s refused: %s", self._spool.path, error)
            self._disk_refused = True


def _kind(stream: str) -> LineKind:
    try:
        return LineKind(stream)
    except ValueError:
        return LineKind.OUT
