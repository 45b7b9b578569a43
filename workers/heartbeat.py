"""The thread that keeps a lease alive while a step runs, and tells the step when to stop."""

from __future__ import annotations

import contextvars
import logging
import threading
from datetime import datetime
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from listings.services import leases
from listings.states import AttemptState
from workers.steps.contract import Stop, StopReason

logger = logging.getLogger(__name__)


class Heartbeat:
    """Beats every ``heartbeat_seconds``. A database that is briefly away is waited out until the lease is over."""

    def __init__(self, claim: leases.Claim, stop: Stop) -> None:
        self._claim = claim
        self._stop = stop
        self._done = threading.Event()
        self._answered = timezone.now()
        # Its log lines belong to the attempt, too.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._beat,), name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(timeout=30)

    def seconds_left(self) -> float:
        """How long the lease still holds, counted from the last time that the database answered."""
        return float(settings.SLIPWAY.lease_seconds - (timezone.now() - self._answered).total_seconds())

    def _beat(self) -> None:
        config = settings.SLIPWAY
        try:
            while not self._done.wait(min(config.heartbeat_seconds, 1.0)):
                now = timezone.now()
                self._watch_deadline(now)
                if (now - self._answered).total_seconds() < config.heartbeat_seconds and self._stop.reason is None:
                    continue
                if self._renew():
                    self._answered = now
                elif self.seconds_left() <= 0:
                    self._stop.set(StopReason.LEASE_LOST)
        finally:
            connection.close()

    def _watch_deadline(self, now: datetime) -> None:
        deadline = self._claim.attempt.deadline_at
        if deadline is not None and now > deadline:
            self._stop.set(StopReason.TIMED_OUT)

    def _renew(self) -> bool:
        """One beat. Returns whether the database answered."""
        try:
            state = leases.heartbeat(self._claim.attempt.pk, self._claim.lease)
        except (DatabaseError, InterfaceError):
            logger.warning("heartbeat of %s: the database does not answer", self._claim.attempt.pk)
            connection.close()
            return False
        if state is None:
            self._stop.set(StopReason.LEASE_LOST)
        elif state == AttemptState.CANCELLING:
            self._stop.set(StopReason.CANCELLED)
        return True
