"""Calls that the container under test made, as facts and as a check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from listings.reports import CheckOutcome, CheckReport, Evidence
from workers.sandbox.known_hosts import Known, known
from workers.sandbox.network import Network

MAX_EVIDENCE = 20
MAX_NOTES = 6
MAX_DETAILS = 8
MAX_PLACES = 5
Call = Mapping[str, Any]


class Lines(Protocol):
    def nearest_line(self, seconds: float) -> int | None: ...


def describe(phase: str, network: Network, attempts: Iterable[Call], lines: Lines) -> list[dict[str, Any]]:
    """The recorder's account as facts, in the order of the first call, each with the log line nearest to it."""
    return [
        {
            "phase": phase,
            "network": network.value,
            "protocol": attempt["protocol"],
            "host": attempt["host"],
            "address": attempt["address"],
            "port": attempt["port"],
            "count": attempt["count"],
            "first_seconds": attempt["first_seconds"],
            "last_seconds": attempt["last_seconds"],
            "hint": ", ".join([*_named(attempt), *attempt["hints"]]),
            "details": list(attempt.get("details", [])),
            "log_line": lines.nearest_line(attempt["first_seconds"]),
        }
        for attempt in sorted(attempts, key=lambda attempt: attempt["first_seconds"])
    ]


def places(calls: Iterable[Call]) -> set[tuple[str, str, int]]:
    """What was called: protocol, host or address, port."""
    return {(str(call["protocol"]), _where(call), int(call["port"])) for call in calls}


def check(
    calls: Sequence[Call], *, lost: int = 0, unseen: int = 0, broken: bool = False, hung: str = "",
    notes: Sequence[str] = (),
) -> CheckReport:  # fmt: skip
    """An attempt alone warns. It fails where the run broke, too (``broken``), or broke a limit while no answer came
    (``hung``: in which way).

    ``calls``: of every run; those of the run that refuses count. ``lost``: calls not told apart; ``unseen``: packets
    that may have been more. ``notes``: what else the reader should know, such as a run that was not made.
    """
    counted = [call for call in calls if call["network"] == Network.REFUSE]
    if not counted and not lost and not unseen:
        return CheckReport("TEST-EGRESS", CheckOutcome.PASS, {"count": "0", "places": ""})
    heard = _heard(calls)
    evidence = [Evidence(hung, label="calls dropped")] if hung else []
    evidence += [Evidence(note, label="note") for note in notes[:MAX_NOTES]]
    evidence += [
        Evidence(_sentence(call, heard.get(_where(call), [])), label="outgoing call", log_line=call["log_line"])
        for call in counted
    ]
    if lost:
        evidence.insert(MAX_EVIDENCE - 1, Evidence(f"{lost} more calls to other places were seen and not told apart"))
    named = list(dict.fromkeys(_place(call) for call in counted))
    shown = ", ".join(named[:MAX_PLACES]) + (f" and {len(named) - MAX_PLACES} more" if len(named) > MAX_PLACES else "")
    count = sum(int(call["count"]) for call in counted) + lost
    params = {"count": f"at least {count}" if unseen else str(count), "places": shown or "places not told apart"}
    outcome = CheckOutcome.FAIL if broken or hung else CheckOutcome.WARN
    return CheckReport("TEST-EGRESS", outcome, params, _advised(counted, evidence), _patch(counted))


def _heard(calls: Sequence[Call]) -> dict[str, list[str]]:
    """Host or address -> what was said to it once its calls were answered."""
    found: dict[str, dict[str, None]] = {}
    for call in calls:
        if call["network"] != Network.DIAGNOSE or call["protocol"] == "dns":
            continue
        said = found.setdefault(_where(call), {})
        for detail in call["details"] or [f"{call['protocol']} port {call['port']}"]:
            said[f"{detail}:{call['port']}" if str(detail).startswith("tls ") else detail] = None
    return {where: list(said)[:MAX_DETAILS] for where, said in found.items()}


def _advised(calls: Sequence[Call], evidence: list[Evidence]) -> tuple[Evidence, ...]:
    """With a sentence of advice for each known place at the end."""
    advice = [Evidence(f"{entry.what}: {entry.remedy}", label="remedy") for entry in _entries(calls)[:MAX_NOTES]]
    return tuple(evidence[: MAX_EVIDENCE - len(advice)] + advice)


def _patch(calls: Sequence[Call]) -> str:
    """Lines of a Dockerfile."""
    return "\n".join(dict.fromkeys(entry.patch for entry in _entries(calls) if entry.patch))


def _entries(calls: Sequence[Call]) -> list[Known]:
    found = (known(_where(call)) for call in calls)
    return list(dict.fromkeys(entry for entry in found if entry is not None))


def _named(attempt: Call) -> list[str]:
    """An address alone says little, so those of AWS's own services are named."""
    entry = known(str(attempt["address"])) if not attempt["host"] else None
    return [entry.what] if entry else []


def _where(call: Call) -> str:
    return str(call["host"] or call["address"])


def _place(call: Call) -> str:
    where = f"[{_where(call)}]" if ":" in _where(call) else _where(call)
    return f"{where}:{call['port']}" if call["port"] and call["protocol"] != "dns" else _where(call)


def _sentence(call: Call, heard: Sequence[str]) -> str:
    times = "once" if call["count"] == 1 else f"{call['count']} times"
    what = f"asked for the name {call['host']}" if call["protocol"] == "dns" and call["host"] else ""
    what = what or f"{call['protocol']} to {_place(call)}"
    hint = f" ({call['hint']})" if call["hint"] else ""
    said = f"; when answered: {', '.join(heard)}" if heard else ""
    return f"{call['phase']}: {what}{hint}, {times}, first after {call['first_seconds']} s{said}"
