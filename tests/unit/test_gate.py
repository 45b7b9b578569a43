"""The gate's rules, one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from listings.gate import FindingFact, GateFacts, PolicyFact, Verdict, WaiverFact, evaluate
from listings.policy_defaults import DEFAULT_POLICY
from tests.contract_rows import GATE, detects

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DIGEST = "sha256:" + "1" * 64
GOOD = GateFacts(
    run_state="passed", scan_complete=True, os_id="debian", os_version="10", checks_total=3, outgoing=0,
    digest_built=DIGEST, digest_pushed=DIGEST,
)  # fmt: skip
POLICY = PolicyFact(0, DEFAULT_POLICY)


def judge(facts: GateFacts, *waivers: WaiverFact, policy: PolicyFact = POLICY) -> Verdict:
    return evaluate(facts, policy, waivers, NOW)


def failing(verdict: Verdict) -> set[str]:
    return {reason.code for reason in verdict.failures}


def waiver(code: str, subject: str, days: int = 1) -> WaiverFact:
    return WaiverFact("1", code, subject, NOW + timedelta(days=days), "Adam", "scannable")


def test_a_good_run_on_a_listed_system_passes() -> None:
    assert judge(GOOD).passed


def test_an_unlisted_system_fails_and_names_what_to_waive() -> None:
    verdict = judge(replace(GOOD, os_version="12"))
    assert failing(verdict) == {"GATE-OS"}
    assert verdict.failures[0].subject == "debian:12"


def test_a_waiver_opens_the_gate_for_its_subject_only() -> None:
    facts = replace(GOOD, os_version="12")
    assert judge(facts, waiver("GATE-OS", "debian:12")).passed
    assert not judge(facts, waiver("GATE-OS", "debian:13")).passed
    assert not judge(facts, waiver("GATE-FINDING", "debian:12")).passed


def test_an_expired_waiver_counts_for_nothing() -> None:
    assert not judge(replace(GOOD, os_version="12"), waiver("GATE-OS", "debian:12", days=-1)).passed


def test_an_amended_policy_lists_the_system() -> None:
    amended = PolicyFact(1, DEFAULT_POLICY | {"os": {"debian": ["12"]}})
    assert judge(replace(GOOD, os_version="12"), policy=amended).passed


@detects(2, GATE)
def test_an_image_that_cannot_be_scanned_is_not_clean() -> None:
    assert failing(judge(replace(GOOD, scan_complete=False))) == {"GATE-OS"}
    assert failing(judge(replace(GOOD, scan_complete=None))) == {"GATE-OS"}


@detects(29, GATE)
def test_blocking_findings_fail_and_others_do_not() -> None:
    findings = (FindingFact("CVE-1", "high"), FindingFact("CVE-2", "medium"))
    verdict = judge(replace(GOOD, findings=findings))
    assert [reason.subject for reason in verdict.failures] == ["CVE-1"]
    assert judge(replace(GOOD, findings=findings), waiver("GATE-FINDING", "CVE-1")).passed


def test_a_failing_check_cannot_be_waived() -> None:
    facts = replace(GOOD, failed_checks=("TEST-PING",))
    assert failing(judge(facts, waiver("GATE-CHECKS", "TEST-PING"))) == {"GATE-CHECKS"}


def test_nothing_checked_is_not_a_pass() -> None:
    assert failing(judge(replace(GOOD, checks_total=0))) == {"GATE-CHECKS"}


def test_outgoing_calls_warn_or_fail_by_policy() -> None:
    facts = replace(GOOD, outgoing=3)
    assert judge(facts).passed
    assert failing(judge(facts, policy=PolicyFact(1, DEFAULT_POLICY | {"outgoing": "fail"}))) == {"GATE-OUTGOING"}
    assert failing(judge(replace(GOOD, outgoing=None))) == {"GATE-OUTGOING"}


def test_another_digest_than_the_tested_one_fails() -> None:
    assert failing(judge(replace(GOOD, digest_pushed="sha256:" + "2" * 64))) == {"GATE-DIGEST"}
    assert failing(judge(replace(GOOD, digest_pushed=""))) == {"GATE-DIGEST"}


def test_a_run_that_has_not_passed_fails() -> None:
    assert failing(judge(replace(GOOD, run_state="active"))) == {"GATE-RUN"}
