"""What the machine does to us in the middle of anything: a full disk, a database that went away."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

from listings.problems import ProblemError

T = TypeVar("T")
#: PostgreSQL's and SQLite's words for a disk that is full (SQLSTATE 53100, SQLITE_FULL).
_DATABASE_FULL = ("No space left on device", "database or disk is full", "could not extend file")
_PAUSE_SECONDS = 0.25
_patience = threading.local()


def problem_of(error: BaseException) -> ProblemError | None:
    """The coded problem behind an exception (itself, or what caused it), or None if it is none of these.

    PLATFORM-DISK-FULL or PLATFORM-DATABASE-AWAY.
    """
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return ProblemError("PLATFORM-DISK-FULL", reason=cause.strerror or "no space left")
        if isinstance(cause, (OperationalError, InterfaceError)):
            if any(words in str(cause) for words in _DATABASE_FULL):
                return ProblemError("PLATFORM-DISK-FULL", reason="the database has no room left")
            return ProblemError("PLATFORM-DATABASE-AWAY")
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def patient(seconds_left: Callable[[], float]) -> Iterator[None]:
    """In this thread, ``outlast`` waits for the database for as long as ``seconds_left`` is above 0."""
    before = getattr(_patience, "seconds_left", None)
    _patience.seconds_left = seconds_left
    try:
        yield
    finally:
        _patience.seconds_left = before


def outlast(act: Callable[[], T]) -> T:
    """``act()``, which must be safe to repeat; tried again while the database is away and there is patience.

    Without ``patient`` around it, as in a web request, and inside a transaction it is tried once.
    """
    seconds_left: Callable[[], float] | None = getattr(_patience, "seconds_left", None)
    while True:
        try:
            return act()
        except (OperationalError, InterfaceError):
            if seconds_left is None or connection.in_atomic_block or seconds_left() <= 0:
                raise
            connection.close()
            time.sleep(_PAUSE_SECONDS)
