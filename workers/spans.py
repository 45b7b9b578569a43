"""Where an attempt's time goes outside Slipway: engine, registry, containers, Git, AWS.

    with spans.record() as recorder:      # around a step
        with spans.span("engine"):        # around each piece of outside work
            ...
        recorder.merged()                 # what is stored with the attempt

Work of threads that a step starts is not seen, nor needed: a step waits for what it starts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from listings.reports import Span

Kind = Literal["engine", "registry", "container", "git", "aws"]
#: Pieces of one kind that lie closer together than this (seconds) are one.
_GAP = 0.001
_MOST = 2000


class Recorder:
    """The pieces of one attempt."""

    def __init__(self) -> None:
        self._spans: dict[Kind, list[list[float]]] = {}

    def add(self, kind: Kind, start: float, end: float) -> None:
        """``start`` and ``end`` in seconds since the epoch."""
        found = self._spans.setdefault(kind, [])
        if found and start - found[-1][1] <= _GAP and start >= found[-1][0]:
            found[-1][1] = max(found[-1][1], end)
        elif len(found) < _MOST:
            found.append([start, end])

    def merged(self) -> tuple[Span, ...]:
        """The union of the pieces of each kind, in order of time."""
        merged = [Span(kind, *piece) for kind, pieces in self._spans.items() for piece in _union(pieces)]
        return tuple(sorted(merged, key=lambda span: (span.start, span.end)))


def _union(pieces: list[list[float]]) -> list[list[float]]:
    united: list[list[float]] = []
    for start, end in sorted(pieces):
        if united and start - united[-1][1] <= _GAP:
            united[-1][1] = max(united[-1][1], end)
        else:
            united.append([start, end])
    return united


_current: ContextVar[Recorder | None] = ContextVar("spans", default=None)


@contextmanager
def record() -> Iterator[Recorder]:
    """Collect the pieces of the block."""
    recorder = Recorder()
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)


def note(kind: Kind, start: float, end: float) -> None:
    """Note a piece whose times (seconds since the epoch) are known afterwards."""
    recorder = _current.get()
    if recorder is not None and end > start:
        recorder.add(kind, start, end)


@contextmanager
def span(kind: Kind) -> Iterator[None]:
    """Note that the block is outside work; without a recorder, nothing happens."""
    started = time.time()
    try:
        yield
    finally:
        note(kind, started, time.time())
