"""GET /execution-parameters: how a container wants its batches, if it says so at all."""

from __future__ import annotations

import json
from typing import Any

from listings.reports import CheckOutcome, Evidence
from workers.sandbox.holder_client import Answer
from workers.sandbox.serving.probing import Probing, describe

STRATEGIES = ("MULTI_RECORD", "SINGLE_RECORD")
MAX_IN_FLIGHT_MB = 100
MAX_BYTES = 64 * 1024
SECONDS = 10.0
DEFAULTS: dict[str, Any] = {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}
#: Above it no number of these parameters means anything.
MOST = 1_000_000


def ask(probing: Probing) -> Answer:
    return probing.holder.request(
        "GET", "/execution-parameters", probing.bench.stop, timeout=SECONDS, max_bytes=MAX_BYTES
    )


def read(answer: Answer) -> dict[str, Any] | None:
    """The parameters of a good answer; None for any other."""
    if answer.status != 200:
        return None
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return {name: found[name] for name in DEFAULTS if name in found} if isinstance(found, dict) else None


def settings_of(parameters: dict[str, Any] | None) -> dict[str, Any]:
    """What SageMaker goes by: each good value of the answer, the default for every other."""
    given = parameters or {}
    good = {name: value for name, value in given.items() if not _wrong(name, value)}
    found = DEFAULTS | good
    if found["MaxConcurrentTransforms"] * found["MaxPayloadInMB"] > MAX_IN_FLIGHT_MB:
        return dict(DEFAULTS)
    return found


def judge(probing: Probing) -> dict[str, Any] | None:
    """Ask, judge, and hand back what was said."""
    answer = ask(probing)
    probing.require_alive(0.01)
    parameters = read(answer)
    faults = _faults(answer, parameters)
    shown = (Evidence(answer.body[:1000].decode("utf-8", "replace"), label="answer"),) if faults and answer.body else ()
    says = json.dumps(parameters) if parameters else f"nothing ({describe(answer)}), so SageMaker's defaults apply"
    probing.outcome.add(
        CheckOutcome.WARN if faults else CheckOutcome.PASS, "TEST-EXECUTION-PARAMETERS",
        evidence=shown, reason="; ".join(faults), says=says,
    )  # fmt: skip
    return parameters


def _faults(answer: Answer, parameters: dict[str, Any] | None) -> list[str]:
    if answer.error or answer.status >= 500:
        return [describe(answer)]
    if 400 <= answer.status < 500:
        return []  # without the route SageMaker uses its defaults
    if answer.status != 200 or parameters is None:
        return [f"{describe(answer)}, and the answer is no JSON object"]
    faults = [fault for name, value in parameters.items() if (fault := _wrong(name, value))]
    both = [parameters.get(name, DEFAULTS[name]) for name in ("MaxConcurrentTransforms", "MaxPayloadInMB")]
    if not faults and both[0] * both[1] > MAX_IN_FLIGHT_MB:
        faults.append(f"MaxConcurrentTransforms x MaxPayloadInMB is {both[0] * both[1]}, above {MAX_IN_FLIGHT_MB}")
    return faults


def _wrong(name: str, value: object) -> str:
    shown = repr(value)[:60] if not isinstance(value, int) or abs(value) <= MOST else "a very large number"
    if name == "BatchStrategy":
        return "" if value in STRATEGIES else f"BatchStrategy is {shown}; it is spelled {' or '.join(STRATEGIES)}"
    least = 0 if name == "MaxPayloadInMB" else 1
    whole = isinstance(value, int) and not isinstance(value, bool)
    good = whole and least <= int(value) <= MOST  # type: ignore[call-overload]
    return "" if good else f"{name} is {shown}, not a whole number from {least} to {MOST}"
