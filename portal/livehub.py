"""One Redis reader per process, any number of viewers.

Viewers catch up by reading the stream themselves, from where they stand, and then follow through a small
queue that the reader fills. A viewer whose queue runs over goes back to catching up: the stream holds its
place, so nothing is lost or sent twice, and its memory stays bounded however slow it is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID

import redis.asyncio as aredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from listings.livelog import EventName, stream_key

logger = logging.getLogger(__name__)

BEGINNING = "0-0"
BLOCK_MS = 250
READ_ENTRIES = 64
QUEUE_BYTES = 512 * 1024
PAGE_ENTRIES = 16
FINAL_CACHE_SECONDS = 1.0
BACK_OFF_SECONDS = (0.25, 0.5, 1.0, 2.0)


class Entry(NamedTuple):
    id: str
    event: str
    data: str


def position(entry_id: str) -> tuple[int, int]:
    """A stream id as numbers, which compare in the order of the stream."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


class Viewer:
    """What one open page is still to be sent."""

    def __init__(self, owner_id: UUID) -> None:
        self.owner_id = owner_id
        self.behind = True
        self.queue: deque[Entry] = deque()
        self.size = 0
        self.stirred = asyncio.Event()

    def offer(self, entries: list[Entry]) -> None:
        if not self.behind:
            self.queue.extend(entries)
            self.size += sum(len(entry.data) for entry in entries)
            if self.size > QUEUE_BYTES:
                self.fall_behind()
        self.stirred.set()

    def fall_behind(self) -> None:
        self.queue.clear()
        self.size = 0
        self.behind = True

    def take(self) -> list[Entry]:
        entries = list(self.queue)
        self.queue.clear()
        self.size = 0
        return entries


class _Channel:
    def __init__(self, last_id: str) -> None:
        self.last_id = last_id
        self.viewers: set[Viewer] = set()
        self.final: tuple[float, bool] = (float("-inf"), False)


class Hub:
    """``is_final`` answers from the database whether an owner's work has ended."""

    def __init__(self, redis_url: str, is_final: Callable[[UUID], Awaitable[bool]]) -> None:
        self._readers = self._client(redis_url, 2)
        self._history = self._client(redis_url, 8)
        self._is_final = is_final
        self._channels: dict[UUID, _Channel] = {}
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.connected = True

    @staticmethod
    def _client(redis_url: str, connections: int) -> Any:
        pool = aredis.BlockingConnectionPool.from_url(
            redis_url,
            max_connections=connections,
            timeout=20,
            decode_responses=True,
            protocol=2,
            socket_timeout=5,
            socket_connect_timeout=2,
            retry=Retry(NoBackoff(), 0),
        )
        return aredis.Redis.from_pool(pool)

    @property
    def stopping(self) -> bool:
        return self._stopping

    def viewers_of(self, owner_id: UUID) -> int:
        channel = self._channels.get(owner_id)
        return len(channel.viewers) if channel else 0

    def join(self, owner_id: UUID) -> Viewer:
        viewer = Viewer(owner_id)
        channel = self._channels.get(owner_id)
        if channel is None:
            # "$" is not used: it would skip what arrives between two reads.
            channel = self._channels[owner_id] = _Channel("")
        channel.viewers.add(viewer)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read_forever())
        return viewer

    def leave(self, viewer: Viewer) -> None:
        channel = self._channels.get(viewer.owner_id)
        if channel is None:
            return
        channel.viewers.discard(viewer)
        if not channel.viewers:
            del self._channels[viewer.owner_id]

    async def catch_up(self, owner_id: UUID, after: str) -> AsyncIterator[list[Entry]]:
        """Entries later than ``after``, in pages, up to the present. Raises RedisError or OSError."""
        while True:
            rows = await self._history.xrange(stream_key(owner_id), f"({after}", "+", count=PAGE_ENTRIES)
            page = [_entry(row) for row in rows]
            if page:
                yield page
                after = page[-1].id
            if len(page) < PAGE_ENTRIES:
                return

    async def has_forgotten(self, owner_id: UUID, after: str) -> bool:
        """Whether entries later than ``after`` may have been trimmed away unseen."""
        if after == BEGINNING:
            return False
        oldest = await self._history.xrange(stream_key(owner_id), "-", "+", count=1)
        return not oldest or position(oldest[0][0]) > position(after)

    async def final(self, owner_id: UUID) -> bool:
        channel = self._channels.get(owner_id)
        if channel is None:
            return await self._is_final(owner_id)
        asked, answer = channel.final
        if time.monotonic() - asked > FINAL_CACHE_SECONDS:
            channel.final = (time.monotonic(), answer)
            answer = await self._is_final(owner_id)
            channel.final = (time.monotonic(), answer)
        return answer

    def trouble(self) -> None:
        """A viewer could not read its history: it is not live until the reader has reached Redis again."""
        self.connected = False

    def stop(self) -> None:
        """Let every viewer end its response: the process is going down."""
        self._stopping = True
        self._stir()

    async def aclose(self) -> None:
        self.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._readers.aclose()
        await self._history.aclose()

    def _stir(self) -> None:
        for channel in self._channels.values():
            for viewer in channel.viewers:
                viewer.stirred.set()

    async def _read_forever(self) -> None:
        failures = 0
        while self._channels and not self._stopping:
            try:
                await self._read_once()
            except (RedisError, OSError) as error:
                if self.connected:
                    logger.warning("live reader waits for Redis: %s", error)
                self.connected = False
                self._stir()
                await asyncio.sleep(BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)])
                failures += 1
            else:
                failures = 0
                if not self.connected:
                    self.connected = True
                    self._all_behind()

    async def _read_once(self) -> None:
        for owner_id, channel in list(self._channels.items()):
            if not channel.last_id:
                newest = await self._readers.xrevrange(stream_key(owner_id), "+", "-", count=1)
                channel.last_id = newest[0][0] if newest else BEGINNING
                # Whoever joined meanwhile looks once more, from its own place.
                self._fall_behind(channel)
        places = {stream_key(owner_id): channel.last_id for owner_id, channel in self._channels.items()}
        if not places:
            return
        for key, rows in await self._readers.xread(places, count=READ_ENTRIES, block=BLOCK_MS) or ():
            channel_found = self._channels.get(UUID(key.rpartition(":")[2]))
            if channel_found is not None:
                entries = [_entry(row) for row in rows]
                channel_found.last_id = entries[-1].id
                self._deliver(channel_found, entries)

    def _deliver(self, channel: _Channel, entries: list[Entry]) -> None:
        if any(entry.event == EventName.STATE for entry in entries):
            channel.final = (float("-inf"), False)
        for viewer in channel.viewers:
            viewer.offer(entries)

    def _fall_behind(self, channel: _Channel) -> None:
        for viewer in channel.viewers:
            viewer.fall_behind()
            viewer.stirred.set()

    def _all_behind(self) -> None:
        for channel in self._channels.values():
            self._fall_behind(channel)


def _entry(row: tuple[str, dict[str, str]]) -> Entry:
    entry_id, fields = row
    return Entry(entry_id, fields.get("event", ""), fields.get("data", "{}"))
