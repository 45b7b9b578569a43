"""Runs, attempts and leases, on the database."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from listings.models import Attempt, Check, Notice, ScanResult, Version, WorkerProcess
from listings.problems import ProblemError
from listings.reports import StepReport
from listings.services import leases, planning, runs, signals, versions
from listings.states import ATTEMPT_MOVES, AttemptState, IllegalMove, RunState, StaleState, StepState, transition
from tests import flow

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(seller: Any, draft: Version) -> Any:
    return versions.submit_version(seller, draft)


@pytest.fixture
def hints(monkeypatch: Any, django_capture_on_commit_callbacks: Any) -> list[tuple[uuid.UUID, str]]:
    sent: list[tuple[uuid.UUID, str]] = []
    monkeypatch.setattr(signals, "hint_after_commit", lambda pk, queue: sent.append((pk, queue)))
    return sent


def worker(slots: int = 2, queue: str = "engine") -> None:
    WorkerProcess.objects.update_or_create(
        name=f"{queue}@test",
        defaults={"queue": queue, "host": "test", "boot": uuid.uuid4(), "slots": slots, "seen_at": timezone.now()},
    )


def test_submitting_starts_a_run_with_fetch_queued(run: Any) -> None:
    assert flow.states(run) == {
        "fetch": "queued", "build": "waiting", "inspect": "waiting", "scan": "waiting", "test": "waiting",
        "push": "waiting",
    }  # fmt: skip


def test_a_run_whose_steps_all_succeed_passes(run: Any) -> None:
    assert flow.run_through(run).state == RunState.PASSED
    assert run.finished_at is not None


def test_what_a_step_established_is_stored(run: Any) -> None:
    flow.run_through(run)
    assert Check.objects.filter(code="IMAGE-ARCH", outcome="pass").count() == 1
    assert ScanResult.objects.get().os_version == "10"


def test_a_sellers_problem_fails_the_run_and_tells_them(run: Any, seller: Any) -> None:
    flow.end(run, "fetch")
    assert flow.end(run, "build", flow.failed("BUILD-FAILED")) == AttemptState.FAILED
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert flow.states(run)["push"] == StepState.BLOCKED
    assert Notice.objects.get(user=seller, kind="run.failed").title.startswith("Decision trees 1.0.0")


def test_a_problem_of_the_platform_errs(run: Any) -> None:
    report = StepReport(problem=flow.failed("PLATFORM-UNEXPECTED").problem)
    assert flow.end(run, "fetch", report) == AttemptState.ERRORED


def test_only_one_worker_gets_an_attempt(run: Any) -> None:
    attempt = flow.open_attempt(run, "fetch")
    assert leases.claim(attempt.pk, "a:1") is not None
    assert leases.claim(attempt.pk, "b:1") is None


def test_a_worker_without_the_lease_can_write_nothing(run: Any) -> None:
    claim = flow.claim(run, "fetch")
    with pytest.raises(leases.LeaseLost):
        leases.finish(claim.attempt.pk, uuid.uuid4(), flow.GOOD["fetch"])
    assert leases.heartbeat(claim.attempt.pk, uuid.uuid4()) is None
    assert leases.heartbeat(claim.attempt.pk, claim.lease) == AttemptState.RUNNING


def test_a_dead_workers_attempt_is_lost_and_tried_again(run: Any, settings: Any) -> None:
    claim = flow.claim(run, "fetch")
    later = timezone.now() + timedelta(seconds=settings.SLIPWAY.lease_seconds + 1)
    assert leases.lose_expired(later) == 1
    planning.plan(run)
    claim.attempt.refresh_from_db()
    assert claim.attempt.state == AttemptState.LOST
    assert claim.attempt.problem_code == "PLATFORM-WORKER-LOST"
    assert flow.states(run)["fetch"] == StepState.QUEUED
    with pytest.raises(leases.LeaseLost):
        leases.finish(claim.attempt.pk, claim.lease, flow.GOOD["fetch"])


def test_a_worker_lost_too_often_fails_the_run(run: Any, settings: Any) -> None:
    for _ in range(settings.SLIPWAY.infrastructure_retries + 1):
        flow.claim(run, "fetch")
        leases.lose_expired(timezone.now() + timedelta(days=1))
        planning.plan(run)
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert flow.step_of(run, "fetch").attempts.count() == settings.SLIPWAY.infrastructure_retries + 1


def test_cancelling_ends_what_waits_and_stops_what_runs(run: Any, seller: Any) -> None:
    for name in ("fetch", "build", "inspect"):
        flow.end(run, name)
    claim = flow.claim(run, "scan")
    runs.cancel_run(seller, run)
    assert flow.states(run)["test"] == StepState.CANCELLED
    assert leases.heartbeat(claim.attempt.pk, claim.lease) == AttemptState.CANCELLING
    # Even a report of success does not undo the cancel.
    assert leases.finish(claim.attempt.pk, claim.lease, flow.GOOD["scan"]) == AttemptState.CANCELLED
    planning.plan(run)
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED


def test_a_cancelled_attempt_whose_worker_died_ends_as_cancelled(run: Any, seller: Any) -> None:
    claim = flow.claim(run, "fetch")
    runs.cancel_run(seller, run)
    leases.lose_expired(timezone.now() + timedelta(days=1))
    claim.attempt.refresh_from_db()
    assert claim.attempt.state == AttemptState.CANCELLED


def test_retrying_a_step_keeps_earlier_attempts_and_reopens_the_run(run: Any, seller: Any) -> None:
    flow.end(run, "fetch")
    flow.end(run, "build", flow.failed())
    runs.retry_step(seller, flow.step_of(run, "build"))
    planning.plan(run)
    run.refresh_from_db()
    assert run.state == RunState.ACTIVE
    assert [a.state for a in flow.step_of(run, "build").attempts.all()] == ["failed", "queued"]
    assert flow.states(run)["inspect"] == StepState.WAITING


def test_a_step_that_succeeded_is_not_retried(run: Any, seller: Any) -> None:
    flow.end(run, "fetch")
    with pytest.raises(ProblemError, match="STEP-NOT-RETRYABLE"):
        runs.retry_step(seller, flow.step_of(run, "fetch"))


def test_a_second_run_waits_for_the_first_to_end(run: Any, seller: Any) -> None:
    with pytest.raises(ProblemError, match="RUN-ACTIVE"):
        runs.run_again(seller, run.version)
    flow.end(run, "fetch", flow.failed("SOURCE-NOT-ARCHIVE"))
    assert runs.run_again(seller, run.version).number == 2


def test_parked_attempts_hold_no_worker_and_come_back(run: Any) -> None:
    claim = flow.claim(run, "fetch")
    leases.park(claim.attempt.pk, claim.lease, StepReport({"so": "far"}, poll_after=30))
    attempt = Attempt.objects.get(pk=claim.attempt.pk)
    assert (attempt.state, attempt.lease, attempt.facts) == ("running", None, {"so": "far"})
    assert leases.claim(attempt.pk, "w:1") is None
    Attempt.objects.filter(pk=attempt.pk).update(poll_at=timezone.now())
    again = leases.claim(attempt.pk, "w:1")
    assert again is not None
    assert again.attempt.polls == 1


def test_parked_attempts_past_their_deadline_time_out(run: Any) -> None:
    claim = flow.claim(run, "fetch")
    leases.park(claim.attempt.pk, claim.lease, StepReport(poll_after=30))
    assert leases.time_out_parked(timezone.now() + timedelta(days=30)) == 1
    claim.attempt.refresh_from_db()
    assert claim.attempt.state == AttemptState.TIMED_OUT


def test_hints_go_out_only_for_free_slots(run: Any, hints: Any) -> None:
    assert planning.dispatch() == 0
    worker(slots=1)
    assert planning.dispatch() == 1
    assert planning.dispatch() == 0
    assert hints == [(flow.open_attempt(run, "fetch").pk, "engine")]


def test_an_unclaimed_hint_is_sent_again(run: Any, hints: Any, settings: Any) -> None:
    worker()
    planning.dispatch()
    later = timezone.now() + timedelta(seconds=settings.SLIPWAY.hint_repeat_seconds + 1)
    WorkerProcess.objects.update(seen_at=later)
    assert planning.dispatch(later) == 1


def test_a_queued_attempt_says_where_it_stands_and_why(run: Any) -> None:
    place = planning.place_of(flow.open_attempt(run, "fetch"))
    assert place is not None
    assert (place.position, place.why) == (1, "no engine worker is running; an operator must start one")


def test_a_move_that_the_table_does_not_have_is_refused(run: Any) -> None:
    attempt = flow.open_attempt(run, "fetch")
    with pytest.raises(IllegalMove):
        transition(Attempt, attempt.pk, moves=ATTEMPT_MOVES, source="queued", target="succeeded")
    with pytest.raises(StaleState):
        transition(Attempt, attempt.pk, moves=ATTEMPT_MOVES, source="running", target="succeeded")
