"""What a built push leaves to be planned, and the runs whose place it takes."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from listings import links
from listings.models import Attempt, Listing, Run, Webhook
from listings.problems import ProblemError
from listings.services import leases, planning, runs, signals
from listings.states import AttemptState, RunState, StepState
from tests import flow
from tests.hook_sending import git_source, make_webhook, post, push
from workers import tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook(seller: Any, listing: Listing) -> Webhook:
    git_source(listing)
    return make_webhook(seller, listing)


def test_the_sender_waits_for_the_run_to_be_made_and_a_worker_plans_it(
    hook: Webhook, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    asked: list[UUID] = []
    monkeypatch.setattr(signals, "ask_to_plan", asked.append)
    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)
    with django_capture_on_commit_callbacks(execute=True):
        assert post(hook, push()).json()["run"] == 1
        assert not asked
    run = Run.objects.get()
    assert asked == [run.pk]
    assert set(run.steps.values_list("state", flat=True)) == {StepState.WAITING}
    tasks.plan(str(run.pk))
    assert Attempt.objects.get().step == run.steps.get(name="fetch")
    tasks.plan(str(run.pk))
    assert Attempt.objects.count() == 1


def test_a_run_that_is_gone_before_it_is_planned_is_no_fault(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)
    tasks.plan(str(uuid4()))
    assert not Attempt.objects.exists()


def test_a_push_that_is_built_asks_the_database_little(
    hook: Webhook, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(1, 4):
        run = Run.objects.order_by("created_at").last()
        if run is not None:  # which waits, and is superseded by the next push
            planning.plan(run)
        with django_assert_max_num_queries(40):
            assert post(hook, push(commit=str(number) * 40)).json()["decision"] == "built"


def test_a_newer_commit_takes_the_place_of_queued_runs_of_its_branch_only(seller: Any, listing: Listing) -> None:
    git_source(listing)
    hook = make_webhook(seller, listing, branches="**")
    post(hook, push(commit="1" * 40))
    post(hook, push("refs/heads/side", commit="2" * 40))
    begun = Run.objects.get(version__git_branch="side")
    planning.plan(begun)
    flow.claim(begun, "fetch")
    post(hook, push(commit="3" * 40))
    post(hook, push("refs/heads/side", commit="4" * 40))
    flow.plan_all()
    states = {run.version.git_commit[0]: run.state for run in Run.objects.all()}
    assert states == {"1": "superseded", "2": "active", "3": "active", "4": "active"}


def test_a_run_that_begins_while_a_newer_commit_takes_its_place_is_stopped(hook: Webhook) -> None:
    post(hook, push(commit="1" * 40))
    flow.plan_all()
    older = Run.objects.get()
    post(hook, push(commit="2" * 40))
    claimed = flow.claim(older, "fetch")
    flow.plan_all()
    assert flow.open_attempt(older, "fetch").state == AttemptState.CANCELLING
    leases.finish(claimed.attempt.pk, claimed.lease, flow.GOOD["fetch"])
    flow.plan_all()
    older.refresh_from_db()
    assert older.state == RunState.SUPERSEDED


@pytest.fixture
def overtaken(hook: Webhook) -> Run:
    """As it was read before a newer commit took its place, and nobody has planned since."""
    post(hook, push(commit="1" * 40))
    flow.plan_all()
    read_before = Run.objects.get()
    post(hook, push(commit="2" * 40))
    return read_before


def test_a_run_whose_place_is_taken_ends_so_whoever_plans_it_or_cancels_it(seller: Any, overtaken: Run) -> None:
    runs.cancel_run(seller, overtaken)
    flow.plan_all()
    planning.plan(overtaken)
    overtaken.refresh_from_db()
    assert overtaken.state == RunState.SUPERSEDED


def test_a_run_whose_place_is_taken_is_not_retried_but_its_version_runs_again(
    client: Client, seller: Any, overtaken: Run
) -> None:
    flow.plan_all()
    client.force_login(seller)
    page = client.get(links.run(overtaken)).content.decode()
    assert "Superseded" in page
    assert "/retry/" not in page
    with pytest.raises(ProblemError, match="RUN-SUPERSEDED"):
        runs.retry_step(seller, overtaken.steps.get(name="fetch"))
    assert runs.run_again(seller, overtaken.version).number == 2


def test_many_commits_while_nobody_plans_ask_for_little(
    hook: Webhook, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    asked: list[UUID] = []
    monkeypatch.setattr(signals, "ask_to_plan", asked.append)
    with django_capture_on_commit_callbacks(execute=True):
        for digit in range(1, 7):
            post(hook, push(commit=str(digit) * 40))
    assert len(asked) == 6 + 5
