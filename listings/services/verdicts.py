"""Gathering what the gate judges, from the tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from django.utils import timezone

from listings import gate
from listings.models import Attempt, Check, Policy, Run, Waiver
from listings.policy_defaults import DEFAULT_POLICY
from listings.reports import CheckOutcome
from listings.states import AttemptState, StepName


def current_policy() -> gate.PolicyFact:
    """The policy in force: the highest number, or the one that Slipway ships."""
    row = Policy.objects.order_by("-number").first()
    return gate.PolicyFact(row.number, row.body) if row else gate.PolicyFact(0, DEFAULT_POLICY)


def succeeded_attempts(run: Run) -> dict[str, Attempt]:
    """The succeeded attempt of each step of the run, by step name (the last, should there be several)."""
    rows = Attempt.objects.filter(step__run=run, state=AttemptState.SUCCEEDED).select_related("step")
    return {attempt.step.name: attempt for attempt in rows.order_by("number")}


def facts_of(run: Run) -> dict[str, dict[str, Any]]:
    """What the run's succeeded steps established, by step name."""
    return {name: attempt.facts for name, attempt in succeeded_attempts(run).items()}


def staged_image(facts: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """What was staged under a run's ``facts``: ``staging_repository``, ``digest``, ``media_type`` and what else its
    maker knows, from the build, or from fetch where the image existed already. Empty if neither got that far."""
    return facts.get(StepName.BUILD) or facts.get(StepName.FETCH, {}).get("image") or {}


def gate_facts(run: Run) -> gate.GateFacts:
    attempts = succeeded_attempts(run)
    facts = {name: attempt.facts for name, attempt in attempts.items()}
    checks = Check.objects.filter(attempt__in=latest_attempts(run))
    failed = checks.filter(outcome=CheckOutcome.FAIL.value).values_list("code", flat=True)
    scan = getattr(attempts.get(StepName.SCAN), "scan_result", None)
    test = facts.get(StepName.TEST)
    return gate.GateFacts(
        run_state=run.state,
        scan_complete=scan.complete if scan else None,
        scan_detail=scan.detail if scan else "",
        os_id=scan.os_id if scan else "",
        os_version=scan.os_version if scan else "",
        os_name=scan.os_name if scan else "",
        findings=tuple(
            gate.FindingFact(finding.identifier, finding.severity, finding.package) for finding in scan.findings.all()
        ) if scan else (),
        failed_checks=tuple(sorted(set(failed))),
        checks_total=checks.count(),
        outgoing=sum(int(call.get("count", 1)) for call in refused_calls(test)) if test is not None else None,
        digest_built=staged_image(facts).get("digest", ""),
        digest_pushed=facts.get(StepName.PUSH, {}).get("digest", ""),
    )  # fmt: skip


def refused_calls(test: Mapping[str, Any]) -> list[Any]:
    """The outgoing calls of the test's run that decides; those of further runs are the same once more."""
    return [call for call in test.get("outgoing") or [] if call.get("network", "refuse") == "refuse"]


def latest_attempts(run: Run) -> list[Attempt]:
    """The latest attempt of each step of the run."""
    latest: dict[Any, Attempt] = {}
    for attempt in Attempt.objects.filter(step__run=run).order_by("number"):
        latest[attempt.step_id] = attempt
    return list(latest.values())


def active_waivers(run: Run) -> list[gate.WaiverFact]:
    """The waivers that count for this run's version."""
    version = run.version
    rows = Waiver.objects.filter(
        Q(version__isnull=True) | Q(version=version),
        team=version.listing.team, granted_at__isnull=False, revoked_at__isnull=True, expires_at__gt=timezone.now(),
    ).select_related("granted_by")  # fmt: skip
    return [
        gate.WaiverFact(str(row.pk), row.code, row.subject, row.expires_at, str(row.granted_by), row.grant_reason)
        for row in rows
        if row.expires_at is not None
    ]


def verdict_of(run: Run) -> gate.Verdict:
    """The gate's answer for a run, now."""
    return gate.evaluate(gate_facts(run), current_policy(), active_waivers(run), timezone.now())
