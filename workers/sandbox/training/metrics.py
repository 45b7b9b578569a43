"""Metric expressions over a training log. They are the seller's, so they run in a process that can be killed:
an expression that backtracks without end must not hold a worker."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_SECONDS = 20.0
MAX_VALUES = 200


class MetricsTimeout(Exception):
    """The expressions took too long; the argument names the first that was not finished."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one expression found: the last ``values``; ``points`` over the whole log, as (index of the line, value);
    ``not_finite``: how often it found nan or an infinite number instead, which no metric can be."""

    values: list[float] = field(default_factory=list)
    points: list[tuple[int, float]] = field(default_factory=list)
    not_finite: int = 0


def extract(definitions: Sequence[tuple[str, str]], lines: Sequence[str]) -> dict[str, Reading]:
    """Metric name -> what was found, in the log's order, at most 200 values and points each.

    Raises MetricsTimeout.
    """
    if not definitions:
        return {}
    question = json.dumps({"definitions": definitions, "lines": lines}).encode()
    found = {name: Reading() for name, _ in definitions}
    try:
        done = subprocess.run(
            [sys.executable, "-I", __file__], input=question, capture_output=True, timeout=TIMEOUT_SECONDS, check=True
        )
    except subprocess.TimeoutExpired as error:
        finished = len((error.stdout or b"").splitlines())
        raise MetricsTimeout(definitions[min(finished, len(definitions) - 1)][0]) from error
    for line in done.stdout.splitlines():
        answer = json.loads(line)
        points = [(int(index), float(value)) for index, value in answer["points"]]
        found[answer["name"]] = Reading(answer["values"], points, answer["not_finite"])
    return found


class Thinned:
    """Keeps points evenly, first and last among them, however many come."""

    def __init__(self, most: int) -> None:
        self._most, self._step, self._count = most - 1, 1, 0
        self._points: list[tuple[int, float]] = []
        self._last: tuple[int, float] | None = None

    def add(self, point: tuple[int, float]) -> None:
        if self._count % self._step == 0:
            self._points.append(point)
        if len(self._points) > self._most:
            self._points, self._step = self._points[::2], 2 * self._step
        self._count, self._last = self._count + 1, point

    def points(self) -> list[tuple[int, float]]:
        if self._last is None or self._points[-1] == self._last:
            return self._points
        return [*self._points, self._last]


def _read(expression: str, lines: Sequence[str]) -> dict[str, Any]:
    pattern = re.compile(expression)
    values: deque[float] = deque(maxlen=MAX_VALUES)
    thinned, not_finite = Thinned(MAX_VALUES), 0
    for index, line in enumerate(lines) if pattern.groups else ():
        for match in pattern.finditer(line):
            try:
                value = float(match.group(1))
            except (TypeError, ValueError):
                continue  # SageMaker takes numbers only
            if not math.isfinite(value):
                not_finite += 1
                continue
            values.append(value)
            thinned.add((index, value))
    return {"values": list(values), "points": thinned.points(), "not_finite": not_finite}


def _main() -> None:
    question: dict[str, Any] = json.load(sys.stdin)
    for name, expression in question["definitions"]:
        sys.stdout.write(json.dumps({"name": name, **_read(expression, question["lines"])}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
