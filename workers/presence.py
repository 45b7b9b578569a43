"""A worker's sign of life, and its upkeep: threads of the worker's main process.

One writes the WorkerProcess row every few seconds, whatever else hangs. One asks whether the worker may take work:
while the engine or the staging registry cannot be used, the row has no slots. A third one reaps: the disk, and
on engine workers the engine.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.utils import timezone
from docker.errors import DockerException

from listings.models import WorkerProcess
from listings.problems import ProblemError
from listings.services import planning
from workers import readiness, reaper
from workers.forking import no_fork

logger = logging.getLogger(__name__)

SIGN_SECONDS = 5.0
#: How often everything is asked again. The engine's ping alone is asked with each round, and so is all that fails.
ASK_SECONDS = 30.0
LEAVE_SECONDS = 10.0
_presence: Presence | None = None


class Presence:
    """Signs and keeps up while the process lives. ``slots`` is how many steps the worker runs at once."""

    def __init__(self, name: str, queue: str, slots: int) -> None:
        self._worker, self._queue, self._slots = name, queue, slots
        self._boot = uuid.uuid4()
        self._done = threading.Event()
        self._changed = threading.Event()
        self._row = threading.Lock()
        self._readiness = readiness.Readiness(queue)
        self._detail: dict[str, Any] = readiness.preparing() if queue == planning.ENGINE else {}
        self._signed_slots = 0
        self._asked_at = self._reaped_at = float("-inf")
        duties: dict[str, Callable[[], None]] = {
            "presence": self._sign, "readiness": self._ask, "reaper": self._reap,
        }  # fmt: skip
        self.threads = [
            threading.Thread(target=self._repeat, args=(name, work), name=name, daemon=True)
            for name, work in duties.items()
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def _repeat(self, name: str, work: Callable[[], None]) -> None:
        while not self._done.is_set():
            with no_fork():
                close_old_connections()
            try:
                if name == "readiness":  # asks everybody but the database, and may take its time
                    work()
                else:
                    with no_fork():
                        work()
            except (DatabaseError, InterfaceError):
                logger.warning("%s: the database does not answer", name)
            except Exception:
                logger.exception("%s round failed", name)
            if name == "presence":
                self._changed.wait(SIGN_SECONDS)
                self._changed.clear()
            else:
                self._done.wait(SIGN_SECONDS)
        connection.close()

    def _ask(self) -> None:
        is_due = time.monotonic() - self._asked_at > ASK_SECONDS
        silent = self._readiness.engine_problem()
        if is_due or silent or not self._detail.get("ready"):
            self._detail = self._readiness.ask(silent)
            self._asked_at = time.monotonic()
            self._changed.set()

    def _reap(self) -> None:
        if time.monotonic() - self._reaped_at < settings.SLIPWAY.reap_seconds:
            return
        self._reaped_at = time.monotonic()
        try:
            reaped = reaper.reap(with_engine=bool(self._detail.get("engine_answers")))
        except (ProblemError, DockerException, OSError) as error:
            # Readiness says what is wrong.
            logger.warning("not everything was reaped: %s", error)
            return
        if reaped:
            self._asked_at = float("-inf")

    def _sign(self) -> None:
        slots = 0 if self._queue == planning.ENGINE and not self._detail.get("ready") else self._slots
        with self._row:
            if self._done.is_set():
                return
            WorkerProcess.objects.update_or_create(
                name=self._worker,
                defaults={
                    "queue": self._queue, "host": settings.SLIPWAY.worker_host, "boot": self._boot, "slots": slots,
                    "seen_at": timezone.now(), "detail": self._detail,
                },
            )  # fmt: skip
        if slots > self._signed_slots:
            # Work may have waited for a worker to appear, or to recover.
            planning.dispatch()
        self._signed_slots = slots

    def leave(self) -> None:
        """Sign no more, and take the row away. A signature that is being written is waited for."""
        self._done.set()
        self._changed.set()
        is_held = self._row.acquire(timeout=LEAVE_SECONDS)
        try:
            WorkerProcess.objects.filter(name=self._worker, boot=self._boot).delete()
        except (DatabaseError, InterfaceError):
            logger.warning("the database does not answer; this worker's row goes stale by itself")
        finally:
            if is_held:
                self._row.release()


def start(consumer: Any) -> None:
    """Called by Celery in the worker's main process once it takes work."""
    global _presence
    queues = [queue.name for queue in consumer.task_consumer.queues]
    queue = planning.ENGINE if planning.ENGINE in queues else planning.CONTROL
    _presence = Presence(str(consumer.hostname), queue, int(consumer.controller.concurrency or 1))
    _presence.start()


def leave() -> None:
    if _presence is not None:
        _presence.leave()
