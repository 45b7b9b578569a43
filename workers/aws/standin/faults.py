"""Calls counted, and calls told to fail: how tests and demonstrations see AWS's bad days."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Fault:
    """One rule. ``operation`` is exact, ``name`` a regular expression searched in the resource's name.

    ``error`` (code, message, status) refuses instead of acting. ``drop`` acts, then closes the connection
    without an answer; ``hold`` acts, then keeps its answer back for that many seconds.
    ``failure_reason`` lets the call through and makes the work that it starts fail: ``stage`` says where
    (``validation`` or ``image_scan``), or for a change set ``error_code`` names the fault.
    ``seconds`` overrides how long that work takes. ``times`` None means always.
    """

    operation: str
    name: str = ""
    times: int | None = 1
    error: dict[str, Any] | None = None
    drop: bool = False
    hold: float = 0.0
    failure_reason: str = ""
    stage: str = "validation"
    error_code: str = "ASSET_VALIDATION_EXCEPTION"
    failure_code: str = "CLIENT_ERROR"
    seconds: float | None = None

    def fits(self, operation: str, name: str) -> bool:
        return self.operation == operation and re.search(self.name, name) is not None


class Faults:
    """The rules in force and the calls seen so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []
        self._calls: Counter[tuple[str, str]] = Counter()

    def add(self, rule: Fault) -> None:
        re.compile(rule.name)
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def reset_calls(self) -> None:
        with self._lock:
            self._calls.clear()

    def take(self, operation: str, name: str) -> Fault | None:
        """Count the call, and use up and return the first rule that fits it."""
        with self._lock:
            self._calls[operation, name] += 1
            for rule in self._rules:
                if rule.fits(operation, name):
                    if rule.times is not None:
                        rule.times -= 1
                        if rule.times <= 0:
                            self._rules.remove(rule)
                    return rule
        return None

    def calls(self) -> list[dict[str, Any]]:
        with self._lock:
            return [
                {"operation": operation, "name": name, "count": count}
                for (operation, name), count in sorted(self._calls.items())
            ]
