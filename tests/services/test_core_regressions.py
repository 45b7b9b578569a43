"""Ends that once went missing: races between people, planner and workers, and data that one database refuses."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from listings.models import Attempt, AuditEvent, Finding, Kind, Notice, Release, Role, Run, ScanResult, Version
from listings.problems import ProblemError
from listings.reports import (
    CheckOutcome,
    CheckReport,
    Evidence,
    FindingReport,
    ProblemReport,
    ScanReport,
    Severity,
    StepReport,
)  # fmt: skip
from listings.services import leases, listings, notices, planning, releases, runs, teams, versions, waivers
from listings.states import AttemptState, ReleaseState, RunState, StepState
from tests import flow
from tests.services.test_releases import approved, in_review, passed, sample_spec  # noqa: F401 - fixtures
from workers import tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(seller: Any, draft: Version) -> Run:
    return versions.submit_version(seller, draft)


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: Any) -> None:
    """The test's transaction would be lost with its connection."""
    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)


def later() -> Any:
    return timezone.now() + timedelta(days=30)


# -- releases that move on while a worker holds their step -------------------------------------------


@pytest.fixture
def withdrawn_while_claimed(seller: Any, approved: Release) -> leases.Claim:  # noqa: F811
    """A worker took the step just as the release was withdrawn."""
    claim = flow.claim(approved, "register")
    Release.objects.filter(pk=approved.pk).update(state=ReleaseState.WITHDRAWN)
    return claim


def test_registering_a_release_that_was_withdrawn_is_refused(withdrawn_while_claimed: leases.Claim) -> None:
    step = Attempt.objects.get(pk=withdrawn_while_claimed.attempt.pk).step
    with pytest.raises(ProblemError, match="RELEASE-MOVED"):
        releases.begin_step(step)


@pytest.mark.parametrize("report", [StepReport({"name": "x", "arn": "y"}), flow.failed("RELEASE-MOVED")])
def test_an_attempt_ends_though_its_release_was_withdrawn(
    withdrawn_while_claimed: leases.Claim, report: StepReport
) -> None:
    claim = withdrawn_while_claimed
    leases.finish(claim.attempt.pk, claim.lease, report)
    claim.attempt.refresh_from_db()
    assert not claim.attempt.is_open
    assert Release.objects.get().state == ReleaseState.WITHDRAWN


def test_a_withdrawn_release_whose_worker_died_is_let_go(withdrawn_while_claimed: leases.Claim, settings: Any) -> None:
    release = Release.objects.get()
    for _ in range(settings.SLIPWAY.infrastructure_retries + 2):
        leases.lose_expired(later())
        planning.plan(release)
    assert not Attempt.objects.filter(step__release=release, state__in=("queued", "running")).exists()
    assert planning.open_owners() == []


def test_a_withdrawn_release_starts_nothing_more(seller: Any, admin: Any, in_review: Release) -> None:  # noqa: F811
    releases.approve(admin, in_review)
    releases.withdraw(seller, in_review)
    planning.plan(in_review)
    assert not Attempt.objects.filter(step__release=in_review, state="queued").exists()
    assert flow.states(in_review)["register"] == StepState.CANCELLED


def test_a_parked_attempt_that_is_cancelled_ends_at_once(run: Run, seller: Any) -> None:
    claim = flow.claim(run, "fetch")
    leases.park(claim.attempt.pk, claim.lease, StepReport(poll_after=3600))
    runs.cancel_run(seller, run)
    claim.attempt.refresh_from_db()
    run.refresh_from_db()
    assert (claim.attempt.state, run.state) == (AttemptState.CANCELLED, RunState.CANCELLED)
    assert leases.claim(claim.attempt.pk, "w:1") is None


def test_timing_out_a_parked_attempt_is_all_or_nothing(run: Run, monkeypatch: Any) -> None:
    claim = flow.claim(run, "fetch")
    leases.park(claim.attempt.pk, claim.lease, StepReport(poll_after=3600))
    with monkeypatch.context() as broken:
        broken.setattr(leases, "finish", lambda *args, **more: 1 / 0)
        assert leases.time_out_parked(later()) == 0
    assert leases.time_out_parked(later()) == 1


def test_one_attempt_that_cannot_be_ended_holds_back_no_other(
    seller: Any, run: Run, monkeypatch: Any, listing: Any, upload: Any
) -> None:
    other = versions.submit_version(seller, versions.create_version(seller, listing, number="2.0.0", source=upload))
    first, second = flow.claim(run, "fetch"), flow.claim(other, "fetch")
    honest = leases.lose

    def lose(attempt: Attempt, now: Any) -> bool:
        if attempt.pk == first.attempt.pk:
            raise RuntimeError("broken row")
        return honest(attempt, now)

    monkeypatch.setattr(leases, "lose", lose)
    assert leases.lose_expired(later()) == 1
    second.attempt.refresh_from_db()
    assert second.attempt.state == AttemptState.LOST


def test_one_run_that_cannot_be_planned_holds_back_no_other(
    seller: Any, run: Run, monkeypatch: Any, listing: Any, upload: Any
) -> None:
    other = versions.submit_version(seller, versions.create_version(seller, listing, number="2.0.0", source=upload))
    honest, planned = planning.plan, []

    def plan(owner: Any) -> None:
        if owner.pk == run.pk:
            raise RuntimeError("broken row")
        planned.append(owner.pk)
        honest(owner)

    monkeypatch.setattr(planning, "plan", plan)
    tasks.tick()
    assert planned == [other.pk]


# -- runs in people's hands -------------------------------------------------------------------------


def test_cancelling_between_two_steps_stops_the_run(run: Run, seller: Any) -> None:
    claim = flow.claim(run, "fetch")
    leases.finish(claim.attempt.pk, claim.lease, flow.GOOD["fetch"])
    # The planner has not come round yet: no attempt is open.
    runs.cancel_run(seller, run)
    planning.plan(run)
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    assert flow.states(run)["build"] == StepState.CANCELLED
    runs.retry_step(seller, flow.step_of(run, "build"))
    assert flow.states(run) | {"build": "queued", "inspect": "waiting"} == flow.states(run)


def test_cancelling_while_a_lost_step_waits_for_its_retry_stops_the_run(run: Run, seller: Any) -> None:
    flow.claim(run, "fetch")
    leases.lose_expired(later())
    runs.cancel_run(seller, run)
    planning.plan(run)
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED


def test_cancelling_an_ended_run_leaves_no_trace(run: Run, seller: Any) -> None:
    flow.run_through(run)
    runs.cancel_run(seller, run)
    run.refresh_from_db()
    assert run.state == RunState.PASSED
    assert not AuditEvent.objects.filter(action="run.cancel").exists()


def test_a_retried_step_reopens_its_run_in_the_same_transaction(run: Run, seller: Any) -> None:
    flow.end(run, "fetch", flow.failed())
    runs.retry_step(seller, flow.step_of(run, "fetch"))
    run.refresh_from_db()
    assert run.state == RunState.ACTIVE
    with pytest.raises(ProblemError, match="RUN-ACTIVE"):
        runs.run_again(seller, run.version)


def test_a_run_that_ended_on_old_news_is_put_right_by_the_tick(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(state=RunState.FAILED)
    tasks.tick()
    run.refresh_from_db()
    assert run.state == RunState.ACTIVE


def test_a_person_with_a_long_name_can_retry(run: Run, seller: Any) -> None:
    seller.full_name = "n" * 120
    seller.save()
    flow.end(run, "fetch", flow.failed())
    runs.retry_step(seller, flow.step_of(run, "fetch"))
    assert len(flow.open_attempt(run, "fetch").reason) <= 120


# -- what containers say, in databases that are particular ------------------------------------------


def test_what_a_container_wrote_never_keeps_an_attempt_from_ending(run: Run) -> None:
    claim = flow.claim(run, "fetch")
    ugly = "before\x00after \udcff"
    report = StepReport(
        {"metrics": {"loss": [math.nan, math.inf, 0.5]}, "said": ugly, ugly: 1},
        checks=(CheckReport("IMAGE-ARCH", CheckOutcome.WARN, {"architecture": ugly}, (Evidence(ugly),), ugly),),
        problem=ProblemReport("BUILD-FAILED", {"detail": ugly}, (Evidence(ugly, ugly),)),
    )
    leases.finish(claim.attempt.pk, claim.lease, report)
    attempt = Attempt.objects.get(pk=claim.attempt.pk)
    assert attempt.state == AttemptState.FAILED
    assert attempt.facts["metrics"] == {"loss": ["nan", "inf", 0.5]}
    assert attempt.facts["said"] == "before\ufffdafter \ufffd"
    assert attempt.checks.get().patch == "before\ufffdafter \ufffd"


def test_parking_keeps_what_aws_said_whatever_it_holds(run: Run) -> None:
    claim = flow.claim(run, "fetch")
    leases.park(claim.attempt.pk, claim.lease, StepReport({"reason": "a\x00b"}, poll_after=1))
    assert Attempt.objects.get(pk=claim.attempt.pk).facts == {"reason": "a\ufffdb"}


def test_an_image_may_call_its_system_whatever_it_likes(run: Run) -> None:
    for name in ("fetch", "build", "inspect"):
        flow.end(run, name)
    finding = FindingReport("os", "i" * 999, Severity.LOW, "t" * 999, "p" * 999, "v" * 999, "f" * 999, "l" * 9999)
    scan = ScanReport("os", "1", True, os_id="d" * 999, os_version="\x00" * 99, os_name="n" * 999, findings=(finding,))
    assert flow.end(run, "scan", StepReport(scan=scan)) == AttemptState.SUCCEEDED
    for row in (ScanResult.objects.get(), Finding.objects.get()):
        for field in row._meta.concrete_fields:
            if field.max_length and isinstance(getattr(row, field.attname), str):
                assert len(getattr(row, field.attname)) <= field.max_length


# -- names, numbers and people ----------------------------------------------------------------------


def test_a_number_that_its_columns_cannot_hold_is_refused(seller: Any, listing: Any, upload: Any) -> None:
    for number in ("1.0.0-" + ".".join("1" * 29), "1.0.0-" + "a" * 80, "99999999999.0.0"):
        with pytest.raises(ProblemError, match="VERSION-NUMBER"):
            versions.create_version(seller, listing, number=number, source=upload)


def test_two_things_may_be_called_new(seller: Any) -> None:
    made = [teams.create_team(seller, "New") for _ in range(2)]
    assert [team.slug for team in made] == ["team-new", "team-new-2"]
    slugs = [listings.create_listing(seller, made[0], kind=Kind.ALGORITHM, name="new").slug for _ in range(2)]
    assert slugs == ["listing-new", "listing-new-2"]


def test_a_waiver_for_an_endless_subject_is_refused(seller: Any, draft: Version) -> None:
    with pytest.raises(ProblemError, match="WAIVER-RULE"):
        waivers.ask(seller, draft, code="GATE-OS", subject="d" * 201, reason="because")


def test_who_left_the_team_hears_no_more_of_it(
    seller: Any,
    admin: Any,
    make_user: Any,
    team: Any,
    in_review: Release,  # noqa: F811
) -> None:
    member = make_user("rita")
    membership = teams.add_member(seller, team, member.email, Role.VIEWER)
    releases.comment_on(member, in_review, "looks good")
    teams.remove_member(seller, membership)
    releases.comment_on(admin, in_review, "a secret of the team")
    assert not Notice.objects.filter(user=member).exists()
    assert Notice.objects.filter(user=seller, kind="release.comment").exists()


def test_a_name_of_two_lines_makes_a_subject_of_one(seller: Any) -> None:
    notices.notify([seller], "x", "Trees\r\nBcc: all@example.com", url="/")
    assert Notice.objects.get(user=seller).title == "Trees Bcc: all@example.com"
