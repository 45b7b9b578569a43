"""Server-Sent Events: ``GET /live/<owner uuid>?ticket=…``, ahead of Django's middleware.

A page gets its ticket from a view that has checked the permission; the ticket opens one run's or release's
stream for a minute. After LIFE_SECONDS the viewer is asked to come back with a new one, so that a permission
taken away ends within that time.

Events: ``log`` and ``state`` as they were written (their SSE id is the place to resume from); ``status``
``{"live": bool}`` when Redis goes or comes back; ``resync`` when something may have been missed: reload what
is shown; ``renew``: connect again with a fresh ticket; ``end``: nothing more will come.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from types import FrameType
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from redis.exceptions import RedisError

from listings.livelog import TicketError, read_ticket
from listings.models import Release, Run
from listings.states import RELEASE_OPEN, RunState
from portal.access_log import USER
from portal.livehub import BEGINNING, Entry, Hub, Viewer, position

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PATH = re.compile(r"^/live/([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})/?$")
_ENTRY_ID = re.compile(r"^\d{1,20}-\d{1,20}$")
HEARTBEAT_SECONDS = 15.0
#: How long a stream must be silent before it may be called drained.
QUIET_SECONDS = 1.0
LIFE_SECONDS = 15 * 60.0
#: A viewer that takes nothing for this long has gone away without saying so.
SEND_SECONDS = 60.0
MAX_VIEWERS = 1000
#: Of one user, so that nobody takes the places of all.
MAX_VIEWERS_EACH = 40
NEVER = float("-inf")

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


@dataclass
class Metrics:
    """Counts of this process, for its metrics page."""

    viewers: int = 0
    opened: int = 0
    refused: int = 0
    resyncs: int = 0


metrics = Metrics()
_streams_of: Counter[str] = Counter()
_hub: Hub | None = None
_hub_loop: asyncio.AbstractEventLoop | None = None


class _Gone(Exception):
    """The viewer went away."""


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    user, refusal = _admitted(scope)
    if refusal is not None:
        metrics.refused += 1
        await _refuse(send, *refusal)
        return
    scope[USER] = user
    owner_id = UUID(_match(scope))
    hub = _current_hub()
    viewer = hub.join(owner_id)
    _streams_of[user] += 1
    metrics.viewers += 1
    metrics.opened += 1
    leaving = asyncio.create_task(_until_gone(receive))
    serving = asyncio.create_task(_Response(hub, viewer, send, _resume_from(scope)).run())
    try:
        await asyncio.wait({leaving, serving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        serving.cancel()
        results = await asyncio.gather(leaving, serving, return_exceptions=True)
        hub.leave(viewer)
        metrics.viewers -= 1
        _streams_of[user] -= 1
        if not _streams_of[user]:
            del _streams_of[user]
    error = results[1]
    if isinstance(error, Exception) and not isinstance(error, (_Gone, OSError)):
        logger.error("live stream %s failed", owner_id, exc_info=error)


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Start-up and shutdown as the ASGI server tells of them. A server waits for open responses before it
    says ``shutdown``, so the streams learn of the signal itself."""
    restore: Callable[[], None] = lambda: None  # noqa: E731
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            restore = _end_streams_on_signals(asyncio.get_running_loop())
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            restore()
            if _hub is not None:
                await _hub.aclose()
            await send({"type": "lifespan.shutdown.complete"})
            return


class _Response:
    """One viewer's event stream."""

    def __init__(self, hub: Hub, viewer: Viewer, send: Send, after: str) -> None:
        self._hub = hub
        self._viewer = viewer
        self._send = send
        self._after = after
        self._live: bool | None = None
        self._spoke = time.monotonic()
        self._ends_at = time.monotonic() + LIFE_SECONDS

    async def run(self) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await self._send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await self._write("retry: 2000\n\n")
        last = await self._follow()
        await self._write(_event(last))
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self) -> str:
        """Send until the stream ends; returns the event to end with."""
        asked = NEVER
        quiet_since = time.monotonic()
        while not self._hub.stopping and time.monotonic() < self._ends_at:
            self._viewer.stirred.clear()
            await self._tell_status()
            if await self._send_waiting():
                quiet_since, asked = time.monotonic(), NEVER
            quiet = time.monotonic() - quiet_since
            # Asked after each burst, then with every heartbeat: an announcement may have been lost with Redis.
            if self._live and quiet >= QUIET_SECONDS and time.monotonic() - asked > HEARTBEAT_SECONDS:
                asked = time.monotonic()
                if await self._hub.final(self._viewer.owner_id) and not self._viewer.stirred.is_set():
                    return "end"
            if time.monotonic() - self._spoke >= HEARTBEAT_SECONDS:
                await self._write(": still here\n\n")
            await self._wait(QUIET_SECONDS)
        return "renew"

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._viewer.stirred.wait(), seconds)
        except TimeoutError:
            return

    async def _tell_status(self) -> None:
        if self._live == self._hub.connected:
            return
        returned = self._live is False
        self._live = self._hub.connected
        await self._write(_event("status", json.dumps({"live": self._live})))
        if returned:
            # What was announced meanwhile never reached the stream.
            await self._resync("returned")

    async def _send_waiting(self) -> bool:
        if self._viewer.behind:
            return await self._catch_up() if self._live else False
        return await self._send_entries(self._viewer.take())

    async def _catch_up(self) -> bool:
        self._viewer.behind = False
        sent = False
        try:
            if await self._hub.has_forgotten(self._viewer.owner_id, self._after):
                await self._resync("trimmed")
            async for page in self._hub.catch_up(self._viewer.owner_id, self._after):
                sent = await self._send_entries(page) or sent
        except (RedisError, ConnectionError) as error:
            logger.info("live history waits for Redis: %s", error)
            self._viewer.fall_behind()
            self._hub.trouble()
        return sent

    async def _send_entries(self, entries: list[Entry]) -> bool:
        fresh = [entry for entry in entries if position(entry.id) > position(self._after)]
        for entry in fresh:
            await self._write(_event(entry.event, entry.data, entry.id))
            self._after = entry.id
        return bool(fresh)

    async def _resync(self, reason: str) -> None:
        metrics.resyncs += 1
        await self._write(_event("resync", json.dumps({"reason": reason})))

    async def _write(self, text: str) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        except (TimeoutError, OSError) as error:
            raise _Gone from error
        self._spoke = time.monotonic()


def _event(name: str, data: str = "{}", entry_id: str = "") -> str:
    """``data`` is JSON on one line, as json.dumps writes it."""
    identity = f"id: {entry_id}\n" if entry_id else ""
    return f"{identity}event: {name}\ndata: {data}\n\n"


def _match(scope: Scope) -> str:
    found = PATH.match(scope["path"])
    return found.group(1) if found else ""


def _query(scope: Scope, name: str) -> str:
    query: bytes = scope.get("query_string", b"")
    return parse_qs(query.decode("latin-1")).get(name, [""])[-1]


def _admitted(scope: Scope) -> tuple[str, tuple[int, str, str] | None]:
    """Whose ticket it is; and status, code and sentence, if this request gets no stream."""
    owner = _match(scope)
    if not owner:
        return "", (404, "not_found", "There is no such stream.")
    if scope["method"] != "GET":
        return "", (405, "method_not_allowed", "A live stream can only be read.")
    try:
        user = read_ticket(_query(scope, "ticket"), UUID(owner))
    except TicketError as error:
        sentence = "The ticket is missing, too old, or for another page. Ask for a new one."
        return "", (403, f"ticket_{error}", sentence)
    return user, _full(user)


def _full(user: str) -> tuple[int, str, str] | None:
    if metrics.viewers >= MAX_VIEWERS:
        return 503, "too_many_viewers", "Too many pages are following live. Try again soon."
    if _streams_of[user] >= MAX_VIEWERS_EACH:
        return 503, "too_many_viewers", "Too many of your pages are following live. Close some of them."
    if _hub is not None and _hub.stopping:
        return 503, "stopping", "The portal is restarting. Try again in a moment."
    return None


async def _refuse(send: Send, status: int, code: str, sentence: str) -> None:
    body = json.dumps({"error": code, "detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), *HEADERS[3:]]
    headers.append((b"content-length", str(len(body)).encode()))
    if status == 405:
        headers.append((b"allow", b"GET"))
    if status == 503:
        headers.append((b"retry-after", b"5"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _resume_from(scope: Scope) -> str:
    """The browser's own header counts before the address, which stays what it was at the first connection."""
    headers = dict(scope.get("headers", ()))
    given = headers.get(b"last-event-id", b"").decode("latin-1") or _query(scope, "after")
    return given if _ENTRY_ID.match(given) else BEGINNING


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _current_hub() -> Hub:
    global _hub, _hub_loop
    loop = asyncio.get_running_loop()
    if _hub is None or _hub_loop is not loop:
        _hub, _hub_loop = Hub(settings.SLIPWAY.redis_url, is_final), loop
    return _hub


async def is_final(owner_id: UUID) -> bool:
    """Whether the run or release has ended (or does not exist). While the database is away, it has not."""
    try:
        return await sync_to_async(_is_final)(owner_id)
    except DatabaseError as error:
        logger.warning("live stream %s cannot ask whether it has ended: %s", owner_id, error)
        return False


def _is_final(owner_id: UUID) -> bool:
    close_old_connections()
    try:
        run_open = Run.objects.filter(pk=owner_id, state=RunState.ACTIVE).exists()
        return not (run_open or Release.objects.filter(pk=owner_id, state__in=RELEASE_OPEN).exists())
    finally:
        close_old_connections()


def _end_streams_on_signals(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Ahead of the server's own handlers of SIGTERM and SIGINT; returns what puts them back."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    _current_hub()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: FrameType | None) -> None:
        if _hub is not None:
            loop.call_soon_threadsafe(_hub.stop)
        server = before[signal.Signals(number)]
        if callable(server):
            server(number, frame)

    installed = [number for number, server in before.items() if callable(server)]
    for number in installed:
        signal.signal(number, handle)

    def restore() -> None:
        for number in installed:
            if signal.getsignal(number) is handle:
                signal.signal(number, before[number])

    return restore
