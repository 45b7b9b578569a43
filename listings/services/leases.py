"""How a worker holds an attempt: claim, heartbeat, finish, park; and what becomes of one whose worker died.

Every write carries the lease. A worker that lost it can change nothing any more.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from listings import plain, problems
from listings.models import Attempt, Blob, Check, Finding, ScanResult
from listings.problems import Owner
from listings.reports import Evidence, ProblemReport, StepReport
from listings.services import planning, releases, versions
from listings.states import ATTEMPT_MOVES, AttemptState, StaleState, StepName, transition

logger = logging.getLogger(__name__)

_HELD = (AttemptState.RUNNING, AttemptState.CANCELLING)


class LeaseLost(Exception):
    """The attempt is no longer this worker's; nothing was written."""


@dataclass(frozen=True, slots=True)
class Claim:
    attempt: Attempt
    lease: UUID


def _lease_end(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.SLIPWAY.lease_seconds)


@transaction.atomic
def claim(attempt_id: UUID, worker: str) -> Claim | None:
    """Take a queued attempt, or a parked one whose time has come. None if there is nothing to take."""
    now, lease = timezone.now(), uuid.uuid4()
    attempt = Attempt.objects.select_related("step").filter(pk=attempt_id).first()
    if attempt is None:
        return None
    held: dict[str, Any] = {"lease_expires_at": _lease_end(now), "worker": worker, "poll_at": None}
    if attempt.state == AttemptState.QUEUED:
        deadline = now + timedelta(seconds=settings.SLIPWAY.step_timeout(attempt.step.name))
        try:
            transition(
                Attempt, attempt.pk, moves=ATTEMPT_MOVES, source=AttemptState.QUEUED, target=AttemptState.RUNNING,
                started_at=now, deadline_at=deadline, lease=lease, **held,
            )  # fmt: skip
        except StaleState:
            return None
        planning.set_step(attempt.step, AttemptState.RUNNING)
    else:
        parked = Attempt.objects.filter(pk=attempt.pk, state=AttemptState.RUNNING, lease__isnull=True, poll_at__lte=now)
        if not parked.update(lease=lease, polls=F("polls") + 1, **held):
            return None
    attempt.refresh_from_db()
    return Claim(attempt, lease)


def heartbeat(attempt_id: UUID, lease: UUID) -> str | None:
    """Prolong a lease. Returns the attempt's state (running or cancelling), or None if the lease is gone."""
    rows = Attempt.objects.filter(pk=attempt_id, lease=lease, state__in=_HELD)
    if not rows.update(lease_expires_at=_lease_end(timezone.now())):
        return None
    return rows.values_list("state", flat=True).first()


def outcome_of(report: StepReport) -> AttemptState:
    """How an attempt with this report ends: the problem's owner decides between failed and errored."""
    if report.problem is None:
        return AttemptState.SUCCEEDED
    owner = problems.get(report.problem.code).owner
    return AttemptState.FAILED if owner is Owner.SELLER else AttemptState.ERRORED


@transaction.atomic
def finish(
    attempt_id: UUID,
    lease: UUID,
    report: StepReport,
    *,
    log: Blob | None = None,
    log_lines: int = 0,
    target: AttemptState | None = None,
) -> AttemptState:
    """End an attempt with its report, and write what it established, in one transaction.

    ``target`` overrides the outcome (timed out, cancelled). An attempt that is being cancelled ends as
    cancelled whatever its report says. Raises LeaseLost.
    """
    target = target or outcome_of(report)
    fields = {
        "finished_at": timezone.now(), "facts": plain.data(report.facts), "log": log, "log_lines": log_lines,
        "spans": [span.as_json() for span in report.spans],
        "lease": None, "lease_expires_at": None,
    } | _problem_fields(report.problem)  # fmt: skip
    try:
        if target == AttemptState.CANCELLED:
            raise StaleState
        _move(attempt_id, lease, AttemptState.RUNNING, target, fields)
    except StaleState:
        target = AttemptState.CANCELLED
        try:
            _move(attempt_id, lease, AttemptState.CANCELLING, target, fields)
        except StaleState as error:
            raise LeaseLost(str(attempt_id)) from error
    attempt = Attempt.objects.select_related("step__run", "step__release").get(pk=attempt_id)
    _store(attempt, report)
    if target == AttemptState.SUCCEEDED and attempt.step.name == StepName.FETCH:
        _pin(attempt, report.facts)
    planning.set_step(attempt.step, attempt.state)
    _after(attempt)
    return target


def _pin(attempt: Attempt, facts: Mapping[str, Any]) -> None:
    """Later runs fetch the same commit, or the same image, whatever the branch or the tag means by then."""
    image = facts.get("image") or {}
    versions.pin_source(
        attempt.step.version, commit=facts.get("commit") or "", image_digest=image.get("source_digest", "")
    )


def _move(attempt_id: UUID, lease: UUID, source: str, target: str, fields: dict[str, Any]) -> None:
    transition(Attempt, attempt_id, moves=ATTEMPT_MOVES, source=source, target=target, holder=lease, **fields)


def _problem_fields(problem: ProblemReport | None) -> dict[str, Any]:
    if problem is None:
        return {"problem_code": "", "problem_params": {}, "problem_evidence": []}
    return {
        "problem_code": problem.code,
        "problem_params": plain.data(problem.params),
        "problem_evidence": _evidence(problem.evidence),
    }


def _evidence(found: Iterable[Evidence]) -> list[Any]:
    return [plain.data(evidence.as_json()) for evidence in found]


def _store(attempt: Attempt, report: StepReport) -> None:
    Check.objects.bulk_create([
        Check(
            attempt=attempt, position=position, code=check.code, outcome=check.outcome.value,
            params=plain.data(check.params), evidence=_evidence(check.evidence), patch=plain.text(check.patch),
        )
        for position, check in enumerate(report.checks)
    ])  # fmt: skip
    scan = report.scan
    if scan is None:
        return
    # An image may name itself at any length; PostgreSQL refuses what does not fit its column.
    result = ScanResult.objects.create(
        attempt=attempt, version=attempt.step.version, complete=scan.complete, detail=plain.text(scan.detail),
        scanner=plain.text(scan.scanner, 60), scanner_version=plain.text(scan.scanner_version, 60),
        os_id=plain.text(scan.os_id, 60), os_version=plain.text(scan.os_version, 60),
        os_name=plain.text(scan.os_name, 160),
    )  # fmt: skip
    Finding.objects.bulk_create([
        Finding(
            scan_result=result, kind=finding.kind, severity=finding.severity.value,
            identifier=plain.text(finding.identifier, 120), title=plain.text(finding.title, 300),
            package=plain.text(finding.package, 200), installed=plain.text(finding.installed, 120),
            fixed_in=plain.text(finding.fixed_in, 120), location=plain.text(finding.location, 500),
        )
        for finding in scan.findings
    ])  # fmt: skip


def _after(attempt: Attempt) -> None:
    if attempt.step.release is not None:
        releases.step_ended(attempt)
    owner = attempt.step.owner
    transaction.on_commit(lambda: planning.plan(owner), robust=True)


@transaction.atomic
def park(
    attempt_id: UUID, lease: UUID, report: StepReport, *, log: Blob | None = None, log_lines: int = 0
) -> AttemptState:
    """Let go of an attempt that waits for somebody else (AWS): it stays running, held by no worker.

    ``log`` None keeps the one that it has. Raises LeaseLost. An attempt that is being cancelled ends here.
    Returns its state.
    """
    assert report.poll_after is not None
    poll_at = timezone.now() + timedelta(seconds=report.poll_after)
    rows = Attempt.objects.filter(pk=attempt_id, lease=lease, state=AttemptState.RUNNING)
    stored = {"log": log, "log_lines": log_lines} if log is not None else {}
    if rows.update(
        lease=None, lease_expires_at=None, poll_at=poll_at, hinted_at=None, facts=plain.data(report.facts), **stored,
    ):  # fmt: skip
        return AttemptState.RUNNING
    return finish(attempt_id, lease, report, log=log, log_lines=log_lines, target=AttemptState.CANCELLED)


@transaction.atomic
def lose(attempt: Attempt, now: datetime | None = None) -> bool:
    """End an attempt whose lease ran out: lost, or cancelled if that was asked. False if it still lives."""
    now = now or timezone.now()
    lost = ProblemReport(
        "PLATFORM-WORKER-LOST",
        {"worker": attempt.worker, "limit": str(settings.SLIPWAY.infrastructure_retries)},
    )
    cancelled = attempt.state == AttemptState.CANCELLING
    try:
        transition(
            Attempt, attempt.pk, moves=ATTEMPT_MOVES, source=attempt.state,
            target=AttemptState.CANCELLED if cancelled else AttemptState.LOST,
            holder=attempt.lease, where={"lease_expires_at__lt": now}, finished_at=now,
            **_problem_fields(None if cancelled else lost),
        )  # fmt: skip
    except StaleState:
        return False
    attempt = Attempt.objects.select_related("step__run", "step__release").get(pk=attempt.pk)
    planning.set_step(attempt.step, attempt.state)
    _after(attempt)
    return True


def lose_expired(now: datetime | None = None) -> int:
    """End every attempt whose lease ran out. Returns how many."""
    now = now or timezone.now()
    expired = Attempt.objects.filter(state__in=_HELD, lease__isnull=False, lease_expires_at__lt=now)
    return sum(_each(expired, lambda attempt: lose(attempt, now)))


def _each(attempts: Iterable[Attempt], act: Callable[[Attempt], bool]) -> Iterator[bool]:
    """Act on each; one that cannot be ended keeps none of the others from it."""
    for attempt in attempts:
        try:
            yield act(attempt)
        except Exception:
            logger.exception("attempt %s could not be ended", attempt.pk)


def time_out_parked(now: datetime | None = None) -> int:
    """End parked attempts past their deadline: AWS took longer than the operator allows. Returns how many."""
    now = now or timezone.now()
    parked = Attempt.objects.filter(state=AttemptState.RUNNING, lease__isnull=True, deadline_at__lt=now)
    return sum(_each(parked.select_related("step", "log"), _time_out))


@transaction.atomic
def _time_out(attempt: Attempt) -> bool:
    lease = uuid.uuid4()
    if not Attempt.objects.filter(pk=attempt.pk, state=AttemptState.RUNNING, lease__isnull=True).update(lease=lease):
        return False
    limit = f"{settings.SLIPWAY.step_timeout(attempt.step.name):.0f} s"
    problem = ProblemReport("PLATFORM-TIMEOUT", {"step": attempt.step.get_name_display(), "limit": limit})
    report = StepReport(facts=attempt.facts, problem=problem)
    finish(attempt.pk, lease, report, log=attempt.log, log_lines=attempt.log_lines, target=AttemptState.TIMED_OUT)
    return True
