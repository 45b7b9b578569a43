"""A worker's sign of life, and on engine workers the reaper's rounds; one thread of the worker's main process."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone

from listings.models import WorkerProcess
from listings.services import planning
from workers import readiness, reaper

logger = logging.getLogger(__name__)

SIGN_SECONDS = 5.0
_thread: Presence | None = None


class Presence(threading.Thread):
    """Writes the WorkerProcess row every few seconds while the process lives."""

    def __init__(self, name: str, queue: str, slots: int) -> None:
        super().__init__(name="presence", daemon=True)
        self._worker, self._queue, self._slots = name, queue, slots
        self._boot = uuid.uuid4()
        self._done = threading.Event()
        self._reaped_at = 0.0
        self._detail: dict[str, Any] = {}

    def run(self) -> None:
        while not self._done.is_set():
            close_old_connections()
            try:
                self._round()
            except (DatabaseError, InterfaceError):
                logger.warning("presence: the database does not answer")
            except Exception:
                logger.exception("presence round failed")
            self._done.wait(SIGN_SECONDS)

    def _round(self) -> None:
        if self._queue == planning.ENGINE and not self._detail.get("ready"):
            self._detail = readiness.prepare()
        slots = 0 if self._queue == planning.ENGINE and not self._detail.get("ready") else self._slots
        self._sign(slots)
        if self._queue == planning.ENGINE and time.monotonic() - self._reaped_at > settings.SLIPWAY.reap_seconds:
            reaper.reap()
            self._reaped_at = time.monotonic()

    def _sign(self, slots: int) -> None:
        known = WorkerProcess.objects.filter(name=self._worker, boot=self._boot).exists()
        WorkerProcess.objects.update_or_create(
            name=self._worker,
            defaults={
                "queue": self._queue, "host": settings.SLIPWAY.worker_host, "boot": self._boot, "slots": slots,
                "seen_at": timezone.now(), "detail": self._detail,
            },
        )  # fmt: skip
        if not known:
            # Work may have waited for a worker to appear.
            planning.dispatch()

    def leave(self) -> None:
        self._done.set()
        WorkerProcess.objects.filter(name=self._worker, boot=self._boot).delete()


def start(consumer: Any) -> None:
    """Called by Celery in the worker's main process once it takes work."""
    global _thread
    queues = [queue.name for queue in consumer.task_consumer.queues]
    queue = planning.ENGINE if planning.ENGINE in queues else planning.CONTROL
    _thread = Presence(str(consumer.hostname), queue, int(consumer.controller.concurrency or 1))
    _thread.start()


def leave() -> None:
    if _thread is not None:
        _thread.leave()
