"""Which of the listed instance types a version fits on, and which is the cheapest that it fits on.

Measured where the run had that type's size; else computed from the peak of memory, with a margin, and said so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from listings.reports import CheckOutcome, CheckReport, Evidence
from listings.spec.models import VersionSpec
from workers.sandbox.network import Network
from workers.sandbox.phase import Outcome
from workers.sandbox.resources.instances import Instance, Table, instance_table, is_arm
from workers.sandbox.resources.profile import GIB, Profile

#: What a type must have beyond the measured peak before it counts as large enough: a quarter of the peak.
MARGIN = 1.25
USES = ("training", "transform", "realtime")
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Used:
    """What the runs of one use showed. ``whole``: they went to their end. ``peak``: bytes, 0 where not measured.
    ``containers``: as many shared the memory, each its part."""

    profile: Profile
    peak: int
    whole: bool
    out_of_memory: bool
    containers: int = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """``fits`` None: it could not be told."""

    fits: bool | None
    measured: bool
    reason: str


def advise(
    spec: VersionSpec, outcomes: Sequence[Outcome], profiles: Mapping[str, Profile]
) -> tuple[dict[str, Any], list[CheckReport]]:
    """The facts ``advisor`` and ``advice``, and the check TEST-INSTANCE. ``profiles``: by phase."""
    table = instance_table()
    used = {use: _used(spec, outcomes, profiles, use) for use in USES}
    rows = [
        _row(name, use, table, judge(name, table.types.get(name), used[use]))
        for use, names in _listed(spec).items()
        for name in dict.fromkeys(names)
        if used[use] is not None
    ]
    advice = {"cheapest": {use: _cheapest(rows, use) for use in USES}, "price_date": table.as_of}
    return {"advisor": rows, "advice": advice}, [_check(rows)] if rows else []


def judge(name: str, instance: Instance | None, used: Used | None) -> Verdict:
    """Whether what ``used`` tells of fits on the type ``name``."""
    if is_arm(name):
        return Verdict(False, False, "it has an ARM processor, and the image is made for amd64")
    if used is None:
        return Verdict(None, False, "not run")
    had = used.profile.memory_bytes
    same = name == used.profile.instance_type and not used.profile.clamped
    if instance is None and not same:
        return Verdict(None, False, "its size is not in the table of instance types")
    has = had if same or instance is None else int(instance.memory_gib * GIB)
    verdict = _by_memory(has, had, same, used)
    if instance is not None and instance.accelerated:
        return Verdict(verdict.fits, verdict.measured, f"{verdict.reason}; its accelerator was not tested")
    return verdict


def _by_memory(has: int, had: int, same: bool, used: Used) -> Verdict:
    """``has``: the type's memory; ``had``: what the run was given."""
    if used.out_of_memory and used.containers > 1:
        part = _gib(had // used.containers)
        return Verdict(None, False, f"a container ran out of memory at {part}, its part of {_gib(had)} in our run")
    if used.out_of_memory:
        if has <= had:
            return Verdict(False, same, f"the run ran out of memory at {_gib(had)}")
        return Verdict(None, False, f"the run ran out of memory at {_gib(had)}; with {_gib(has)} it was not run")
    if used.peak > has:
        return Verdict(False, False, f"the run needed {_mib(used.peak)}, more than its {_gib(has)}")
    if not used.whole:
        return Verdict(None, False, "the run did not come to a good end")
    if has >= had:
        how = "run at its size" if same else f"run within {_gib(had)}"
        return Verdict(True, same or has == had, f"{how}{_peak(used)}")
    if not used.peak:
        return Verdict(None, False, "the run was too short for its memory to be measured")
    if used.peak * MARGIN <= has:
        return Verdict(True, False, f"computed: a peak of {_mib(used.peak)} and a quarter more are within {_gib(has)}")
    return Verdict(None, False, f"too close to tell: {_mib(used.peak)} at the peak, of {_gib(has)}")


def _listed(spec: VersionSpec) -> dict[str, Iterable[str]]:
    training, inference = spec.training, spec.inference
    return {
        "training": training.SupportedTrainingInstanceTypes if training else (),
        "transform": inference.SupportedTransformInstanceTypes if inference else (),
        "realtime": inference.SupportedRealtimeInferenceInstanceTypes if inference else (),
    }


def _used(
    spec: VersionSpec, outcomes: Sequence[Outcome], profiles: Mapping[str, Profile], use: str
) -> Used | None:  # fmt: skip
    """All judged runs of a kind together ("serve", "serve-batch"). Whether they went well the first says: some others
    are meant to fail."""
    phase = "train" if use == "training" else "serve"
    runs = [
        outcome for outcome in outcomes
        if outcome.phase.partition("-")[0] == phase and outcome.network is Network.REFUSE and outcome.seconds
    ]  # fmt: skip
    if not runs or phase not in profiles:
        return None
    memory = [check.outcome for run in runs for check in run.checks if check.code == "TEST-MEMORY"]
    return Used(
        profile=profiles[phase],
        peak=max(run.peak_memory for run in runs),
        whole=all(run.problem is None for run in runs if run.phase == phase),
        out_of_memory=any(run.out_of_memory for run in runs)
        or any(outcome in (CheckOutcome.WARN, CheckOutcome.FAIL) for outcome in memory),
        containers=len(spec.inference.Containers) or 1 if phase == "serve" and spec.inference else 1,
    )


def _row(name: str, use: str, table: Table, verdict: Verdict) -> dict[str, Any]:
    instance = table.types.get(name)
    return {
        "instance_type": name,
        "use": use,
        "fits": verdict.fits,
        "measured": verdict.measured,
        "reason": verdict.reason,
        "vcpus": instance.vcpus if instance else None,
        "memory_gib": instance.memory_gib if instance else None,
        "usd_per_hour": instance.usd_per_hour if instance else None,
    }


def _cheapest(rows: Iterable[Mapping[str, Any]], use: str) -> str | None:
    fitting = [row for row in rows if row["use"] == use and row["fits"] and row["usd_per_hour"] is not None]
    fitting.sort(key=lambda row: (row["usd_per_hour"], row["instance_type"]))
    return fitting[0]["instance_type"] if fitting else None


def _check(rows: Sequence[Mapping[str, Any]]) -> CheckReport:
    small = [row for row in rows if row["fits"] is False]
    unknown = [row for row in rows if row["fits"] is None]
    shown = small or unknown
    outcome = CheckOutcome.WARN if small else CheckOutcome.SKIP if unknown else CheckOutcome.PASS
    evidence = tuple(
        Evidence(f"{row['instance_type']} ({row['use']}): {row['reason']}", label="instance type") for row in shown[:20]
    )
    names = list(dict.fromkeys(row["instance_type"] for row in shown or rows))
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    params = {"types": ", ".join(names[:MAX_NAMED]) + more, "count": str(len(names))}
    return CheckReport("TEST-INSTANCE", outcome, params, evidence)


def _peak(used: Used) -> str:
    return f", {_mib(used.peak)} at the peak" if used.peak else ""


def _gib(size: int) -> str:
    return f"{size / GIB:.3g} GiB"


def _mib(size: int) -> str:
    return f"{-(-size >> 20)} MiB"
