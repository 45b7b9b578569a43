"""Driving runs without Celery: ends attempts with given reports, as a worker would."""

from __future__ import annotations

import json
from typing import Any

from listings.models import Attempt, Run, Step
from listings.reports import CheckOutcome, CheckReport, ProblemReport, ScanReport, StepReport
from listings.services import leases, planning
from listings.states import AttemptState, StepName

DIGEST = "sha256:" + "ab" * 32
SPEC = {"slipway": 1, "kind": "Algorithm"}

GOOD: dict[str, StepReport] = {
    StepName.FETCH: StepReport({"archive_sha256": "0" * 64, "spec": SPEC}),
    StepName.BUILD: StepReport({"digest": DIGEST, "staging_repository": "staging/abc"}),
    StepName.INSPECT: StepReport(
        {"architecture": "amd64"}, checks=(CheckReport("IMAGE-ARCH", CheckOutcome.PASS, {"architecture": "amd64"}),)
    ),
    StepName.SCAN: StepReport(
        {}, scan=ScanReport("os", "1", True, os_id="debian", os_version="10", os_name="Debian 10")
    ),
    StepName.TEST: StepReport({"outgoing": []}),
    StepName.PUSH: StepReport({"digest": DIGEST}),
}


def failed(code: str = "BUILD-FAILED") -> StepReport:
    return StepReport(problem=ProblemReport(code))


def open_attempt(owner: Any, name: str) -> Attempt:
    return Attempt.objects.get(step=step_of(owner, name), state__in=("queued", "running", "cancelling"))


def step_of(owner: Any, name: str) -> Step:
    return owner.steps.get(name=name)


def states(owner: Any) -> dict[str, str]:
    return dict(owner.steps.values_list("name", "state"))


def claim(owner: Any, name: str) -> leases.Claim:
    claimed = leases.claim(open_attempt(owner, name).pk, "worker:1")
    assert claimed is not None
    return claimed


def end(owner: Any, name: str, report: StepReport | None = None) -> AttemptState:
    """Claim and finish a queued step, and plan what follows."""
    claimed = claim(owner, name)
    state = leases.finish(claimed.attempt.pk, claimed.lease, report or GOOD[name])
    planning.plan(owner)
    return state


def plan_all() -> None:
    """What the planner does at each tick."""
    for owner in planning.open_owners():
        planning.plan(owner)


def run_through(run: Run, **reports: StepReport) -> Run:
    """Every step of a run, in order; ``reports`` replace the good ones by step name."""
    for name in GOOD:
        end(run, name, reports.get(str(name)))
    run.refresh_from_db()
    return run


def evidence_text(attempt: Attempt) -> str:
    return json.dumps(attempt.problem_evidence)
