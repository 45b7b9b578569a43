"""A run under random hands: whatever people, workers and death do to it, its rules hold after every move."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from listings.models import Attempt, Run, Step, Version
from listings.problems import ProblemError
from listings.reports import StepReport
from listings.services import leases, planning, runs, versions
from listings.states import (
    ATTEMPT_FINAL,
    ATTEMPT_OPEN,
    NEEDS,
    STEP_UNSUCCESSFUL,
    AttemptState,
    RunState,
    StepName,
    StepState,
    run_state,
)
from tests import flow

pytestmark = pytest.mark.django_db

OUTCOMES: dict[str, Callable[[str], tuple[StepReport, AttemptState | None]]] = {
    "succeeded": lambda name: (flow.GOOD[name], None),
    "failed": lambda name: (flow.failed("BUILD-FAILED"), None),
    "errored": lambda name: (flow.failed("PLATFORM-UNEXPECTED"), None),
    "timed_out": lambda name: (flow.failed("PLATFORM-TIMEOUT"), AttemptState.TIMED_OUT),
}
_LIKELY = ["succeeded", "succeeded", "succeeded", *OUTCOMES]
_DONE = {StepState.SUCCEEDED, StepState.SKIPPED}


class Runs(RuleBasedStateMachine):
    """``planned`` says whether the planner has come round since the last move; it may be late, but not wrong."""

    user: Any
    draft: Version

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.claims: dict[Any, leases.Claim] = {}
        self.final: dict[Any, tuple[str, Any]] = {}
        self.planned = True

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undo.__exit__(None, None, None)

    @initialize()
    def submit(self) -> None:
        version = Version.objects.get(pk=self.draft.pk)
        self.run = versions.submit_version(self.user, version)

    def attempts(self, *states: str) -> list[Attempt]:
        rows = Attempt.objects.filter(step__run__version=self.draft, state__in=states).select_related("step")
        return list(rows.order_by("step__run__number", "step__position"))

    def changed(self, *, now: bool) -> None:
        self.planned = now
        if now:
            self.tick()

    # -- workers ---------------------------------------------------------------------------------

    @rule(data=st.data())
    @precondition(lambda self: self.attempts(AttemptState.QUEUED))
    def claim(self, data: Any) -> None:
        attempt = data.draw(st.sampled_from(self.attempts(AttemptState.QUEUED)))
        claim = leases.claim(attempt.pk, "w:1")
        assert claim is not None
        assert leases.claim(attempt.pk, "w:2") is None
        self.claims[attempt.pk] = claim

    @rule(data=st.data(), outcome=st.sampled_from(_LIKELY), now=st.booleans())
    @precondition(lambda self: self.claims)
    def finish(self, data: Any, outcome: str, now: bool) -> None:
        pk = data.draw(st.sampled_from(sorted(self.claims)))
        claim = self.claims.pop(pk)
        before = Attempt.objects.get(pk=pk)
        report, target = OUTCOMES[outcome](claim.attempt.step.name)
        if before.state in ATTEMPT_FINAL:
            with pytest.raises(leases.LeaseLost):
                leases.finish(pk, claim.lease, report, target=target)
            return
        ended = leases.finish(pk, claim.lease, report, target=target)
        wanted = AttemptState.CANCELLED if before.state == AttemptState.CANCELLING else AttemptState(outcome)
        assert ended == wanted
        self.changed(now=now)

    @rule(data=st.data(), now=st.booleans())
    @precondition(lambda self: self.attempts(AttemptState.RUNNING, AttemptState.CANCELLING))
    def lose(self, data: Any, now: bool) -> None:
        """A worker dies; it may come back later and find that it lost its lease."""
        attempt = data.draw(st.sampled_from(self.attempts(AttemptState.RUNNING, AttemptState.CANCELLING)))
        assert leases.lose(attempt, timezone.now() + timedelta(days=30))
        self.changed(now=now)

    # -- people ----------------------------------------------------------------------------------

    @rule()
    def cancel(self) -> None:
        runs.cancel_run(self.user, self.run)
        self.run.refresh_from_db()
        assert self.run.state != RunState.ACTIVE or self.attempts(AttemptState.CANCELLING)
        assert not self.attempts(AttemptState.QUEUED, AttemptState.RUNNING)

    @rule(data=st.data())
    @precondition(lambda self: Step.objects.filter(run=self.run, state__in=STEP_UNSUCCESSFUL).exists())
    def retry(self, data: Any) -> None:
        steps = Step.objects.filter(run=self.run, state__in=STEP_UNSUCCESSFUL)
        runs.retry_step(self.user, data.draw(st.sampled_from(list(steps))))
        self.run.refresh_from_db()
        assert self.run.state == RunState.ACTIVE

    @rule()
    def run_again(self) -> None:
        self.run.refresh_from_db()
        if self.run.state == RunState.ACTIVE:
            with pytest.raises(ProblemError, match="RUN-ACTIVE"):
                runs.run_again(self.user, self.run.version)
        else:
            self.run = runs.run_again(self.user, self.run.version)

    @rule()
    def tick(self) -> None:
        for owner in planning.open_owners():
            planning.plan(owner)
        self.planned = True

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def no_step_has_two_open_attempts(self) -> None:
        owners = [attempt.step_id for attempt in self.attempts(*ATTEMPT_OPEN)]
        assert len(owners) == len(set(owners))

    @invariant()
    def an_open_attempt_is_its_steps_state(self) -> None:
        assert all(attempt.step.state == attempt.state for attempt in self.attempts(*ATTEMPT_OPEN))

    @invariant()
    def nothing_starts_before_what_it_needs(self) -> None:
        for attempt in self.attempts(*ATTEMPT_OPEN):
            states = flow.states(Run.objects.get(pk=attempt.step.run_id))
            assert all(states[need] in _DONE for need in NEEDS[StepName(attempt.step.name)])

    @invariant()
    def what_ended_stays_as_it_ended(self) -> None:
        for attempt in self.attempts(*ATTEMPT_FINAL):
            assert attempt.finished_at is not None
            end = (attempt.state, attempt.finished_at)
            assert self.final.setdefault(attempt.pk, end) == end

    @invariant()
    def at_most_one_run_is_active(self) -> None:
        assert Run.objects.filter(version=self.draft, state=RunState.ACTIVE).count() <= 1

    @invariant()
    def once_planned_a_runs_state_is_that_of_its_steps_and_it_can_go_on(self) -> None:
        if not self.planned:
            return
        for run in Run.objects.filter(version=self.draft):
            states = flow.states(run)
            assert run.state == run_state(states)
            # No run hangs: one that is active has something that will end.
            assert run.state != RunState.ACTIVE or set(states.values()) & ATTEMPT_OPEN


def test_a_run_keeps_its_rules_whatever_happens_to_it(seller: Any, draft: Version) -> None:
    machine = type("Case", (Runs,), {"user": seller, "draft": draft})
    # Derandomised: the build must not depend on luck; a wider search is a matter of these two numbers.
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=10, stateful_step_count=20, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
