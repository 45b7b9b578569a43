"""What the portal itself needs, asked with time limits: database, Redis, storage; and what workers last said.

Each is asked in a thread of its own, at most one at a time per dependency, so that one that hangs costs a caller
``LIMIT_SECONDS`` and never a growing number of threads.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import Error as DatabaseTrouble
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from redis.exceptions import RedisError

from listings import disk, livelog
from listings.services import workers

LIMIT_SECONDS = 2.5
#: An answer serves this long, so that nobody can make the portal ask without end.
FRESH_SECONDS = 1.0
_BROKER_SECONDS = 1.5
_MB = 1024**2


@dataclass(frozen=True, slots=True)
class Answer:
    """``code`` is the catalogue's, empty if all is well; ``params`` are for admins only. Sizes are bytes
    or None. ``told`` is JSON for information only."""

    code: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    free: int | None = None
    total: int | None = None
    milliseconds: int = 0
    told: Any = None

    @property
    def ok(self) -> bool:
        return not self.code


class _Probe:
    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._future: Future[Answer] | None = None
        self._begun_at = 0.0

    def begin(self) -> Future[Answer]:
        """The answer that is on its way or still fresh, else a new one."""
        with self._lock:
            is_old = time.monotonic() - self._begun_at > FRESH_SECONDS
            if self._future is None or (self._future.done() and is_old):
                self._future, self._begun_at = Future(), time.monotonic()
                threading.Thread(target=self._run, args=(self._future,), daemon=True).start()
            return self._future

    def _run(self, future: Future[Answer]) -> None:
        began = time.monotonic()
        try:
            answer = self._ask()
        except Exception as error:
            answer = Answer("DEPENDENCY-FAILED", {"reason": type(error).__name__})
        finally:
            connection.close()
        milliseconds = round((time.monotonic() - began) * 1000)
        future.set_result(replace(answer, milliseconds=milliseconds))


def database() -> Answer:
    """Whether the database answers and no migration is missing."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except (DatabaseTrouble, OSError) as error:
        return Answer("DATABASE-UNREACHABLE", {"reason": type(error).__name__})
    return Answer("DATABASE-MIGRATIONS", {"count": str(missing)}) if missing else Answer()


def broker() -> Answer:
    """Whether Redis answers. ``told`` is when the clock last ticked (seconds since the epoch), or None."""
    try:
        with livelog.connect(settings.SLIPWAY.redis_url, timeout=_BROKER_SECONDS) as client:
            ticked = client.get(livelog.TICK_KEY)
    except (RedisError, OSError) as error:
        return Answer("BROKER-UNREACHABLE", {"reason": type(error).__name__})
    return Answer(told=float(str(ticked)) if ticked else None)


def storage() -> Answer:
    """Whether a file can be written to storage, and more than the floor is free (object storage has no floor)."""
    try:
        root = Path(default_storage.path(""))
    except NotImplementedError:
        return _object_storage()
    found, floor = disk.look(root), settings.SLIPWAY.disk_floor_mb * _MB
    if found.total and found.free < floor:
        params = {"free_mb": str(found.free // _MB), "floor_mb": str(floor // _MB)}
        return Answer("STORAGE-LOW", params, found.free, found.total)
    if found.reason:
        return Answer("STORAGE-UNWRITABLE", {"reason": found.reason}, found.free, found.total)
    return Answer(free=found.free, total=found.total)


def _object_storage() -> Answer:
    try:
        name = default_storage.save(f"health/{uuid.uuid4().hex}", ContentFile(b"slipway"))
        default_storage.delete(name)
    except Exception as error:  # each storage has exceptions of its own
        return Answer("STORAGE-UNWRITABLE", {"reason": type(error).__name__})
    return Answer()


def _workers() -> Answer:
    try:
        return Answer(told=workers.summary(timezone.now()))
    except (DatabaseTrouble, OSError) as error:
        return Answer("DATABASE-UNREACHABLE", {"reason": type(error).__name__})


#: The portal's own; without one of these it is not ready.
OWN = ("database", "broker", "storage")
_PROBES = {
    "database": _Probe(database), "broker": _Probe(broker), "storage": _Probe(storage), "workers": _Probe(_workers),
}  # fmt: skip


def ask_all(limit: float = LIMIT_SECONDS) -> dict[str, Answer]:
    """The answers by name, those of OWN and ``workers`` (what they last said), after at most ``limit`` seconds."""
    futures = {name: probe.begin() for name, probe in _PROBES.items()}
    wait(futures.values(), timeout=limit)
    slow = round(limit * 1000)
    return {
        name: future.result()
        if future.done()
        else Answer("DEPENDENCY-SLOW", {"name": name.capitalize(), "seconds": f"{limit:g}"}, milliseconds=slow)
        for name, future in futures.items()
    }
