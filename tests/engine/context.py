"""A StepContext for steps that are run without a planner: unsaved rows, a log in memory."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from listings.models import Attempt, Run, Version
from workers.engine import attempt_labels
from workers.logs.lines import clip
from workers.steps.contract import StepContext, Stop

MAX_LINES = 20_000


@dataclass
class MemoryLog:
    """Keeps the last lines only, as the real one does: a flood must not fill the test's own memory."""

    lines: list[tuple[int, str, str]] = field(default_factory=list)
    count: int = 0
    secrets: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def line(self, text: str, stream: str = "out", lost: int = 0) -> int:
        with self.lock:
            self.count += 1
            self.lines.append((self.count, stream, clip(text, lost)))
            if len(self.lines) > 2 * MAX_LINES:
                del self.lines[:MAX_LINES]
            return self.count

    def section(self, title: str) -> int:
        return self.line(f"== {title}", "slipway")

    def tail(self, count: int) -> list[tuple[int, str]]:
        return [(number, text) for number, _, text in self.lines[-count:]]

    def add_secrets(self, secrets: Iterable[str]) -> None:
        self.secrets.update(secrets)

    def text(self) -> str:
        return "\n".join(text for _, _, text in list(self.lines))

    def number_of(self, part: str) -> int:
        """The number of the first line that contains ``part``."""
        return next(number for number, _, text in self.lines if part in text)


def make_context(
    workdir: Path, facts: Mapping[str, Mapping[str, Any]], instance: str, stop: Stop | None = None
) -> tuple[StepContext, MemoryLog]:
    """A context whose engine labels carry ``instance``, and its log."""
    attempt, log = Attempt(id=uuid.uuid4()), MemoryLog()
    workdir.mkdir(parents=True, exist_ok=True)
    context = StepContext(
        attempt=attempt,
        version=Version(),
        run=Run(),
        release=None,
        facts=facts,
        log=log,
        stop=stop or Stop(),
        workdir=workdir,
        labels=attempt_labels(instance, "test-host", attempt.pk),
    )
    return context, log


def stop_after(seconds: float, stop: Stop, reason: Any) -> threading.Timer:
    """Tell a step to stop from another thread, as the heartbeat does."""
    timer = threading.Timer(seconds, stop.set, (reason,))
    timer.daemon = True
    timer.start()
    return timer
