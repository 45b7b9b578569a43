"""Sends lines to the Redis stream of their run or release, from a thread of its own.

The step never waits for Redis. What cannot be sent yet is kept within bounds; what falls out of the
bounds is announced as a gap, which the stored log fills.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from uuid import UUID

import redis

from listings.livelog import STREAM_EXPIRY_SECONDS, EventName, LineKind, Record, add_entry, connect, stream_key

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.1
#: Waiting lines kept while Redis is away or a container floods.
PENDING_BYTES = 1024**2
#: Sent lines kept, to send again should Redis come back empty.
RECENT_BYTES = 1024**2
#: At most this much per interval: a flood costs Redis and browsers no more than 2.5 MB a second.
FLUSH_BYTES = 256 * 1024
ENTRY_BYTES = 64 * 1024
#: An attempt's share of the stream.
STREAM_BYTES = 4 * 1024**2
BACK_OFF_SECONDS = (0.25, 0.5, 1.0, 2.0)
TIMEOUT_SECONDS = 2.0
CLOSE_SECONDS = 2.0

_Line = tuple[int, str]


class _Lines:
    """Numbered encoded lines, oldest dropped first beyond ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lines: deque[_Line] = deque()
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, line: _Line) -> None:
        self._lines.append(line)
        self.size += len(line[1])
        while self.size > self._limit:
            self.size -= len(self._lines.popleft()[1])

    def put_back(self, lines: list[_Line]) -> None:
        """Before the others, newest first, as far as there is room."""
        for line in reversed(lines):
            if self.size + len(line[1]) > self._limit:
                return
            self._lines.appendleft(line)
            self.size += len(line[1])

    def take(self, limit: int) -> list[_Line]:
        taken: list[_Line] = []
        size = 0
        while self._lines and (not taken or size + len(self._lines[0][1]) <= limit):
            taken.append(self._lines.popleft())
            size += len(taken[-1][1])
        self.size -= size
        return taken

    def take_all(self) -> list[_Line]:
        lines = list(self._lines)
        self._lines.clear()
        self.size = 0
        return lines


class LivePublisher:
    """``push`` never blocks and never raises. ``close`` sends what waits, for at most its timeout."""

    def __init__(self, redis_url: str, owner_id: UUID, attempt_id: UUID, step: str, number: int, first: int) -> None:
        self._client = connect(redis_url, timeout=TIMEOUT_SECONDS)
        self._owner_id = owner_id
        self._key = stream_key(owner_id)
        self._prefix = f'{{"attempt":"{attempt_id}","step":"{step}","number":{number},"lines":['
        self._lock = threading.Lock()
        self._pending = _Lines(PENDING_BYTES)
        self._recent = _Lines(RECENT_BYTES)
        self._next = first
        self._entries: deque[tuple[str, int]] = deque()
        self._entries_size = 0
        self._failures = 0
        self._failing_since = 0.0
        self._server = ""
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._loop, name=f"live-log-{attempt_id}", daemon=True)
        self._thread.start()

    def push(self, number: int, encoded: str) -> None:
        with self._lock:
            self._pending.add((number, encoded))
        self._wake.set()

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        self._deadline = time.monotonic() + timeout
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout + TIMEOUT_SECONDS)
        self._client.close()

    def _loop(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._flush():
                if self._closing.is_set() and time.monotonic() > min(self._deadline, self._patience()):
                    return
                self._pause()
            if self._closing.is_set():
                return
            # The pause also paces single lines, so that many small writes share one round trip.
            self._closing.wait(INTERVAL_SECONDS)

    def _patience(self) -> float:
        """Redis has had as long as a close may wait before the close began: it is not waited for again."""
        return self._failing_since + CLOSE_SECONDS if self._failures else float("inf")

    def _pause(self) -> None:
        if self._failures:
            pause = BACK_OFF_SECONDS[min(self._failures, len(BACK_OFF_SECONDS)) - 1]
            self._closing.wait(pause)
            if self._closing.is_set():
                time.sleep(0.05)
        elif not self._closing.is_set():
            self._closing.wait(INTERVAL_SECONDS)

    def _flush(self) -> bool:
        """Send one batch; whether more waits."""
        with self._lock:
            batch = self._pending.take(FLUSH_BYTES)
        if not batch:
            return False
        try:
            if self._lost_by_redis():
                self._resend(batch)
            else:
                self._send(batch)
        except (redis.RedisError, OSError) as error:
            if not self._failures:
                logger.warning("live log %s waits for Redis: %s", self._key, error)
                self._failing_since = time.monotonic()
            self._failures += 1
            with self._lock:
                self._pending.put_back(batch)
                return bool(self._pending)
        if self._failures:
            logger.info("live log %s goes on after %d failures", self._key, self._failures)
        self._failures = 0
        with self._lock:
            return bool(self._pending)

    def _lost_by_redis(self) -> bool:
        """Whether this is another Redis process than before, and it has not kept our entries. The client
        reconnects by itself, so a quick restart shows in nothing else."""
        server = str(self._client.info("server")["run_id"])
        same, self._server = server == self._server, server
        if same or not self._entries:
            return False
        last_id = self._entries[-1][0]
        return not self._client.xrange(self._key, last_id, last_id, count=1)

    def _resend(self, batch: list[_Line]) -> None:
        """Redis came back without our lines: send what is still at hand again, the rest as a gap."""
        again = self._recent.take_all()
        self._next = 1
        self._entries.clear()
        self._entries_size = 0
        try:
            self._send(again + batch)
        except (redis.RedisError, OSError):
            self._recent.put_back(again)
            # Still to be found missing at the next try.
            self._entries.append(("0-1", 0))
            self._server = ""
            raise

    def _send(self, batch: list[_Line]) -> None:
        entries = self._compose(batch)
        pipe = self._client.pipeline(transaction=True)
        for data in entries:
            add_entry(pipe, self._owner_id, EventName.LOG, data)
        pipe.expire(self._key, STREAM_EXPIRY_SECONDS)
        oldest = self._make_room(sum(map(len, entries)))
        if oldest is not None:
            pipe.xtrim(self._key, minid=oldest, approximate=False)
        ids = pipe.execute()
        for entry_id, data in zip(ids, entries, strict=False):
            self._entries.append((entry_id, len(data)))
            self._entries_size += len(data)
        for line in batch:
            self._recent.add(line)
        self._next = batch[-1][0] + 1

    def _compose(self, batch: list[_Line]) -> list[str]:
        entries: list[str] = []
        lines: list[str] = []
        size, expected = 0, self._next
        for number, encoded in batch:
            if size + len(encoded) > ENTRY_BYTES and lines:
                entries.append(f"{self._prefix}{','.join(lines)}]}}")
                lines, size = [], 0
            if number > expected:
                lines.append(Record(expected, round(time.time(), 3), LineKind.GAP, "", number - expected).encode())
            lines.append(encoded)
            size += len(encoded)
            expected = number + 1
        entries.append(f"{self._prefix}{','.join(lines)}]}}")
        return entries

    def _make_room(self, incoming: int) -> str | None:
        """The oldest entry that may stay, if older ones must go."""
        trimmed = False
        while len(self._entries) > 1 and self._entries_size + incoming > STREAM_BYTES:
            self._entries_size -= self._entries.popleft()[1]
            trimmed = True
        return self._entries[0][0] if trimmed else None
