"""Calls that the container under test made, as facts and as a check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from listings.reports import CheckOutcome, CheckReport, Evidence

MAX_EVIDENCE = 20


class Lines(Protocol):
    def nearest_line(self, seconds: float) -> int | None: ...


def describe(phase: str, attempts: Iterable[Mapping[str, Any]], lines: Lines) -> list[dict[str, Any]]:
    """The recorder's account as facts, in the order of the first call, each with the log line nearest to it."""
    return [
        {
            "phase": phase,
            "protocol": attempt["protocol"],
            "host": attempt["host"],
            "address": attempt["address"],
            "port": attempt["port"],
            "count": attempt["count"],
            "first_seconds": attempt["first_seconds"],
            "last_seconds": attempt["last_seconds"],
            "hint": ", ".join(attempt["hints"]),
            "log_line": lines.nearest_line(attempt["first_seconds"]),
        }
        for attempt in sorted(attempts, key=lambda attempt: attempt["first_seconds"])
    ]


def check(outgoing: Sequence[Mapping[str, Any]], lost: int, broken: bool) -> CheckReport:
    """An attempt alone warns; it fails where the run broke, too (``broken``). ``lost``: calls not told apart."""
    if not outgoing and not lost:
        return CheckReport("TEST-EGRESS", CheckOutcome.PASS, {"count": "0", "places": ""})
    evidence = [Evidence(_sentence(call), label="outgoing call", log_line=call["log_line"]) for call in outgoing]
    if lost:
        evidence.append(Evidence(f"{lost} more calls to other places were seen and not told apart"))
    places = list(dict.fromkeys(_place(call) for call in outgoing))
    shown = ", ".join(places[:5]) + (f" and {len(places) - 5} more" if len(places) > 5 else "")
    outcome = CheckOutcome.FAIL if broken else CheckOutcome.WARN
    count = sum(int(call["count"]) for call in outgoing) + lost
    return CheckReport("TEST-EGRESS", outcome, {"count": str(count), "places": shown}, tuple(evidence[:MAX_EVIDENCE]))


def _place(call: Mapping[str, Any]) -> str:
    where = str(call["host"] or call["address"])
    return f"{where}:{call['port']}" if call["port"] and call["protocol"] != "dns" else where


def _sentence(call: Mapping[str, Any]) -> str:
    times = "once" if call["count"] == 1 else f"{call['count']} times"
    what = f"asked for the name {call['host']}" if call["protocol"] == "dns" and call["host"] else ""
    what = what or f"{call['protocol']} to {_place(call)}"
    hint = f" ({call['hint']})" if call["hint"] else ""
    return f"{call['phase']}: {what}{hint}, {times}, first after {call['first_seconds']} s"
