"""What every step is given. A step is a module with ``execute(context) -> StepReport``.

A step raises ProblemError for a catalogued end, StepStopped when told to stop; anything else it lets
fly is recorded as a bug report of ours (PLATFORM-UNEXPECTED) with the attempt as its id.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from listings.models import Attempt, Release, Run, Version
from listings.services import verdicts

logger = logging.getLogger(__name__)


class StopReason(StrEnum):
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LEASE_LOST = "lease_lost"


class StepStopped(Exception):
    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Stop:
    """Tells a step to end. Set by the heartbeat thread; steps ask, wait on it, or register a callback."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self.reason: StopReason | None = None

    def set(self, reason: StopReason) -> None:
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
            callbacks = list(self._callbacks)
        self._event.set()
        for callback in callbacks:
            try:
                callback()
            except Exception:
                # The thread that tells is the one that keeps the lease; it must live on.
                logger.exception("a step could not be told to stop")

    def is_set(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raises StepStopped once told to stop."""
        if self.reason is not None:
            raise StepStopped(self.reason)

    def sleep(self, seconds: float) -> None:
        """Sleep, but wake and raise StepStopped at once when told to stop."""
        self._event.wait(seconds)
        self.check()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` (from another thread) when told to stop; at once if that has happened."""
        with self._lock:
            self._callbacks.append(callback)
            already = self.reason is not None
        if already:
            callback()

    def forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)


class Log(Protocol):
    """The attempt's log. Line numbers count from 1 and are stable."""

    def line(self, text: str, stream: str = "out", lost: int = 0) -> int:
        """Write one line from ``out`` or ``err`` (the container's) or ``slipway`` (ours). Returns its number.

        ``lost`` bytes of it were never kept, and the line says so.
        """
        ...

    def section(self, title: str) -> int:
        """Start a foldable section."""
        ...

    def tail(self, count: int) -> list[tuple[int, str]]:
        """The last lines as (number, text), for evidence."""
        ...

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Mask these from now on."""
        ...


@dataclass(frozen=True, slots=True)
class Staged:
    """An image in the staging registry: its repository there, and the digest of its manifest."""

    repository: str
    digest: str


@dataclass(slots=True)
class StepContext:
    """``facts`` maps the name of each earlier succeeded step of the same owner to its facts.
    ``labels`` go on everything made in an engine. ``workdir`` is private to the attempt and removed after it."""

    attempt: Attempt
    version: Version
    run: Run | None
    release: Release | None
    facts: Mapping[str, Mapping[str, Any]]
    log: Log
    stop: Stop
    workdir: Path
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def staged(self) -> Staged:
        """The run's image in the staging registry, whichever step put it there."""
        facts = verdicts.staged_image(self.facts)
        return Staged(str(facts["staging_repository"]), str(facts["digest"]))

    @property
    def attempt_id(self) -> UUID:
        return self.attempt.pk
