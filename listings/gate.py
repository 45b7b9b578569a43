"""The gate: (facts, policy, active waivers) -> verdict with reasons. Pure.

Steps establish facts, the gate judges them; so a waiver or a policy change never needs another run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from listings.policy_defaults import os_listed
from listings.reports import CheckOutcome, Severity


@dataclass(frozen=True, slots=True)
class FindingFact:
    identifier: str
    severity: str
    package: str = ""


@dataclass(frozen=True, slots=True)
class GateFacts:
    """What a run established. ``failed_checks`` are codes; digests are ``sha256:…`` or empty."""

    run_state: str
    scan_complete: bool | None = None
    scan_detail: str = ""
    os_id: str = ""
    os_version: str = ""
    os_name: str = ""
    findings: tuple[FindingFact, ...] = ()
    failed_checks: tuple[str, ...] = ()
    checks_total: int = 0
    outgoing: int | None = None
    digest_built: str = ""
    digest_pushed: str = ""


@dataclass(frozen=True, slots=True)
class WaiverFact:
    id: str
    code: str
    subject: str
    expires_at: datetime
    granted_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class PolicyFact:
    """``number`` 0 is the policy that Slipway ships. ``body`` as in listings/policy_defaults.py."""

    number: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule's answer. A failing rule with a ``subject`` can be waived for that subject."""

    code: str
    outcome: CheckOutcome
    title: str
    detail: str = ""
    subject: str = ""
    waiver: WaiverFact | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code, "outcome": self.outcome.value, "title": self.title, "detail": self.detail,
            "subject": self.subject, "waiver": self.waiver.id if self.waiver else None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    policy: int
    reasons: tuple[Reason, ...] = field(default_factory=tuple)

    @property
    def passed(self) -> bool:
        return all(reason.outcome is not CheckOutcome.FAIL for reason in self.reasons)

    @property
    def failures(self) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if reason.outcome is CheckOutcome.FAIL)

    def as_json(self) -> dict[str, Any]:
        return {"policy": self.policy, "passed": self.passed, "reasons": [r.as_json() for r in self.reasons]}


def evaluate(facts: GateFacts, policy: PolicyFact, waivers: Sequence[WaiverFact], now: datetime) -> Verdict:
    """Judge a run. Waivers that expired by ``now`` count for nothing."""
    active = {(waiver.code, waiver.subject): waiver for waiver in waivers if waiver.expires_at > now}
    reasons = [_run(facts), _test(facts), _outgoing(facts, policy), _os(facts, policy), *_findings(facts, policy)]
    reasons.append(_digest(facts))
    return Verdict(policy.number, tuple(_waive(reason, active) for reason in reasons))


def _waive(reason: Reason, active: dict[tuple[str, str], WaiverFact]) -> Reason:
    waiver = active.get((reason.code, reason.subject)) if reason.outcome is CheckOutcome.FAIL else None
    if waiver is None:
        return reason
    detail = f"Waived by {waiver.granted_by} until {waiver.expires_at:%Y-%m-%d}: {waiver.reason}"
    return Reason(reason.code, CheckOutcome.WARN, reason.title, detail, reason.subject, waiver)


def _run(facts: GateFacts) -> Reason:
    if facts.run_state == "passed":
        return Reason("GATE-RUN", CheckOutcome.PASS, "Every step of the run succeeded")
    return Reason("GATE-RUN", CheckOutcome.FAIL, "The run has not passed", f"It is {facts.run_state}.")


def _test(facts: GateFacts) -> Reason:
    if facts.failed_checks:
        return Reason("GATE-CHECKS", CheckOutcome.FAIL, "Checks fail", ", ".join(facts.failed_checks))
    if not facts.checks_total:
        return Reason("GATE-CHECKS", CheckOutcome.FAIL, "Nothing was checked yet")
    return Reason("GATE-CHECKS", CheckOutcome.PASS, f"None of {facts.checks_total} checks fails")


def _outgoing(facts: GateFacts, policy: PolicyFact) -> Reason:
    if facts.outgoing is None:
        return Reason("GATE-OUTGOING", CheckOutcome.FAIL, "Not yet run without the internet")
    if facts.outgoing == 0:
        return Reason("GATE-OUTGOING", CheckOutcome.PASS, "No outgoing call in an internet-free run")
    strict = policy.body.get("outgoing", "warn") == "fail"
    outcome = CheckOutcome.FAIL if strict else CheckOutcome.WARN
    calls = "1 outgoing call was" if facts.outgoing == 1 else f"{facts.outgoing} outgoing calls were"
    return Reason(
        "GATE-OUTGOING", outcome, f"{calls} tried and refused", "Buyers run it without the internet.", "outgoing"
    )


def _os(facts: GateFacts, policy: PolicyFact) -> Reason:
    if facts.scan_complete is None:
        return Reason("GATE-OS", CheckOutcome.FAIL, "The operating system is not known yet", "The scan has not ended.")
    if not facts.scan_complete or not facts.os_id:
        detail = facts.scan_detail or "The image names no operating system."
        return Reason("GATE-OS", CheckOutcome.FAIL, "The operating system cannot be determined", detail, "unknown")
    name = facts.os_name or f"{facts.os_id} {facts.os_version}"
    if os_listed(policy.body["os"], facts.os_id, facts.os_version):
        return Reason("GATE-OS", CheckOutcome.PASS, f"{name} is a supported operating system")
    subject = f"{facts.os_id}:{facts.os_version}"
    return Reason(
        "GATE-OS", CheckOutcome.FAIL, f"{name} is not on the list of supported operating systems",
        "An admin may waive this with a reason, or amend the policy.", subject,
    )  # fmt: skip


def _findings(facts: GateFacts, policy: PolicyFact) -> list[Reason]:
    blocking = set(policy.body.get("blocking_severities", (Severity.CRITICAL.value, Severity.HIGH.value)))
    return [
        Reason(
            "GATE-FINDING", CheckOutcome.FAIL, f"{finding.identifier} ({finding.severity})", finding.package,
            finding.identifier,
        )
        for finding in facts.findings
        if finding.severity in blocking
    ]  # fmt: skip


def _digest(facts: GateFacts) -> Reason:
    if facts.digest_built and facts.digest_built == facts.digest_pushed:
        return Reason("GATE-DIGEST", CheckOutcome.PASS, "The digest tested is the digest pushed", facts.digest_pushed)
    detail = f"Built {facts.digest_built or 'nothing'}, pushed {facts.digest_pushed or 'nothing'}."
    return Reason("GATE-DIGEST", CheckOutcome.FAIL, "The tested image is not in the registry", detail)
