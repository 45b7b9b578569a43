"""Metric expressions over a training log. They are the seller's, so they run in a process that can be killed:
an expression that backtracks without end must not hold a worker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

TIMEOUT_SECONDS = 20.0
MAX_VALUES = 200


class MetricsTimeout(Exception):
    """The expressions took too long; the argument names the first that was not finished."""


def extract(definitions: Sequence[tuple[str, str]], lines: Sequence[str]) -> dict[str, list[float]]:
    """Metric name -> the values found, in the log's order, at most the last 200.

    Raises MetricsTimeout.
    """
    if not definitions:
        return {}
    question = json.dumps({"definitions": definitions, "lines": lines}).encode()
    found: dict[str, list[float]] = {name: [] for name, _ in definitions}
    try:
        done = subprocess.run(
            [sys.executable, "-I", __file__], input=question, capture_output=True, timeout=TIMEOUT_SECONDS, check=True
        )
    except subprocess.TimeoutExpired as error:
        finished = len((error.stdout or b"").splitlines())
        raise MetricsTimeout(definitions[min(finished, len(definitions) - 1)][0]) from error
    for line in done.stdout.splitlines():
        answer = json.loads(line)
        found[answer["name"]] = answer["values"]
    return found


def _values(expression: str, lines: Sequence[str]) -> list[float]:
    pattern = re.compile(expression)
    values = []
    for line in lines:
        for match in pattern.finditer(line):
            text = match.group(1) if pattern.groups else match.group(0)
            try:
                values.append(float(text))
            except (TypeError, ValueError):
                continue  # SageMaker takes numbers only
    return values[-MAX_VALUES:]


def _main() -> None:
    question: dict[str, Any] = json.load(sys.stdin)
    for name, expression in question["definitions"]:
        sys.stdout.write(json.dumps({"name": name, "values": _values(expression, question["lines"])}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
