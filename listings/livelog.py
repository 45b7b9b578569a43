"""What the writer of a log, the live stream and the stored copy agree on: keys, records, tickets.

One Redis stream per run or release carries its log lines and its changes of state. A stored log is
gzipped JSON lines: a header object, then one array per record.
"""

from __future__ import annotations

import gzip
import json
import logging
import time
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import IO, Any, NamedTuple
from uuid import UUID

import redis
from django.core import signing
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

STREAM_PREFIX = "slipway:live:"
#: When a control worker last did the clock's bidding: seconds since the epoch. Kept for a day.
TICK_KEY = "slipway:tick"
TICK_KEPT_SECONDS = 24 * 3600
#: A stream is forgotten a day after its last entry; finished logs are in storage by then.
STREAM_EXPIRY_SECONDS = 24 * 3600
#: Backstop for the number of entries; the writer also keeps each attempt's share within bytes.
STREAM_MAX_ENTRIES = 20_000
FORMAT_VERSION = 1

TICKET_SECONDS = 60
_TICKET_SALT = "slipway.live"

#: After a refused connection, announcements are not even tried for this long, so that no request waits for Redis.
_ANNOUNCE_PAUSE_SECONDS = 5.0


class EventName(StrEnum):
    """Field ``event`` of a stream entry."""

    LOG = "log"
    STATE = "state"


class LineKind(StrEnum):
    """Who said it. ``dropped``: lines that no longer exist; ``gap``: lines that only the stored log has."""

    OUT = "out"
    ERR = "err"
    SLIPWAY = "slipway"
    SECTION = "section"
    DROPPED = "dropped"
    GAP = "gap"


class Record(NamedTuple):
    """One line. ``number`` counts from 1 in its attempt; ``time`` is seconds since the epoch.

    For ``dropped`` and ``gap``, ``missing`` is how many lines from ``number`` on are not there.
    """

    number: int
    time: float
    kind: str
    text: str
    missing: int = 0

    def encode(self) -> str:
        """One line of JSON without its newline: ``[number, time, kind, text]`` and ``missing`` where there is any."""
        fields: list[object] = [self.number, self.time, self.kind, self.text]
        if self.missing:
            fields.append(self.missing)
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


class TicketError(Exception):
    """The ticket is missing, expired, forged, or for another run or release."""


def stream_key(owner_id: UUID | str) -> str:
    return f"{STREAM_PREFIX}{owner_id}"


def decode(line: bytes | str) -> Record | None:
    """The record in one line of a spool or stored log, or None for a header or a torn line."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, list) or len(fields) < 4 or not isinstance(fields[0], int):
        return None
    return Record(*fields[:5])


def read_records(stored: IO[bytes]) -> Iterator[Record]:
    """The records of a stored (gzipped) log, in order."""
    with gzip.GzipFile(fileobj=stored, mode="rb") as lines:
        for line in lines:
            record = decode(line)
            if record is not None:
                yield record


def issue_ticket(owner_id: UUID, user_id: object) -> str:
    """A signed value that opens the live stream of one run or release for a minute."""
    return signing.dumps([str(owner_id), str(user_id)], salt=_TICKET_SALT)


def read_ticket(ticket: str, owner_id: UUID) -> str:
    """The user id in ``ticket``. Raises TicketError unless it is fresh and for ``owner_id``."""
    try:
        owner, user = signing.loads(ticket, salt=_TICKET_SALT, max_age=TICKET_SECONDS)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise TicketError("expired" if isinstance(error, signing.SignatureExpired) else "invalid") from error
    if owner != str(owner_id):
        raise TicketError("foreign")
    return str(user)


def connect(redis_url: str, *, timeout: float) -> redis.Redis:
    """A client that answers or fails within ``timeout`` seconds: no hidden retries."""
    client: redis.Redis = redis.Redis.from_url(
        redis_url,
        decode_responses=True,
        protocol=2,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )
    return client


def note_tick(redis_url: str) -> None:
    """Leave word that the clock ticks; a Redis that is down is told of elsewhere."""
    try:
        with connect(redis_url, timeout=1.0) as client:
            client.set(TICK_KEY, time.time(), ex=TICK_KEPT_SECONDS)
    except (redis.RedisError, OSError) as error:
        logger.info("the tick was not noted: %s", error)


def add_entry(pipe: Any, owner_id: UUID | str, event: EventName, data: str) -> None:
    """Queue one entry on a pipeline of redis-py."""
    fields = {"event": str(event), "data": data}
    pipe.xadd(stream_key(owner_id), fields, maxlen=STREAM_MAX_ENTRIES, approximate=True)


class _Announcer:
    def __init__(self, redis_url: str) -> None:
        self._client = connect(redis_url, timeout=0.5)
        self._paused_until = 0.0

    def send(self, owner_id: UUID, data: str) -> bool:
        if time.monotonic() < self._paused_until:
            return False
        try:
            pipe = self._client.pipeline(transaction=True)
            add_entry(pipe, owner_id, EventName.STATE, data)
            pipe.expire(stream_key(owner_id), STREAM_EXPIRY_SECONDS)
            pipe.execute()
        except (redis.RedisError, OSError) as error:
            self._paused_until = time.monotonic() + _ANNOUNCE_PAUSE_SECONDS
            logger.warning("live announcement not sent: %s", error)
            return False
        return True


@lru_cache(maxsize=8)
def _announcer(redis_url: str) -> _Announcer:
    return _Announcer(redis_url)


def announce(redis_url: str, owner_id: UUID, payload: Mapping[str, Any]) -> bool:
    """Tell open pages that something about this run or release changed. Never raises for Redis' sake.

    ``payload`` is JSON-able; a true ``final`` says that nothing more will come unless somebody retries.
    Returns whether it was sent; pages that missed it are told to look again when Redis is back.
    """
    return _announcer(redis_url).send(owner_id, json.dumps(payload, default=str))


def publish_state(redis_url: str, owner_id: UUID, kind: str, payload: Mapping[str, Any]) -> bool:
    """``announce`` with the kind of the change (``attempt``, ``step``, ``run``, ``release``) beside its payload."""
    return announce(redis_url, owner_id, {"kind": kind, **payload})
