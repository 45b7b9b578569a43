"""Celery's parent forks a pool process anew when one has died; meanwhile other threads of it use the database.

SQLite keeps in the process which locks its connections hold. A fork in the middle of a transaction copies that, and the
child then waits for ever for a connection that it does not have (sqlite.org, "How To Corrupt An SQLite Database File",
section 2.6). So threads of the parent work with the database inside ``no_fork``, and a fork waits until they are out.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: A fork is not held up for longer by a database or an engine that hangs.
FORK_WAITS_SECONDS = 30.0

_lock = threading.RLock()
_forker = threading.local()


@contextmanager
def no_fork() -> Iterator[None]:
    """No process is forked by other threads while the block runs."""
    with _lock:
        yield


def _before() -> None:
    _forker.holds = _lock.acquire(timeout=FORK_WAITS_SECONDS)


def _after_in_parent() -> None:
    if _forker.holds:
        _lock.release()


def _after_in_child() -> None:
    """Whoever held the lock is not here."""
    global _lock
    _lock = threading.RLock()


# What a pool process shares with its parent it goes on sharing: its garbage collector leaves that alone, where it would
# write to each object (and so copy it) once per collection. Source: Python's own advice at gc.freeze.
os.register_at_fork(before=gc.freeze, after_in_parent=gc.unfreeze)
os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
