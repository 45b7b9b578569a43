"""States of everything that moves, the moves that are allowed, and the one function that makes them.

No other code writes a ``state`` column. A move is a single conditional ``UPDATE`` whose row count is
checked, so two workers, two browser tabs or a worker and the reaper can never both win.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import models


class StepName(models.TextChoices):
    """The steps of a run, then the steps of a release."""

    FETCH = "fetch", "Fetch"
    BUILD = "build", "Build"
    INSPECT = "inspect", "Inspect"
    SCAN = "scan", "Scan"
    TEST = "test", "Test"
    PUSH = "push", "Push"
    REGISTER = "register", "Register"
    PUBLISH = "publish", "Publish"


RUN_STEPS: tuple[StepName, ...] = (
    StepName.FETCH,
    StepName.BUILD,
    StepName.INSPECT,
    StepName.SCAN,
    StepName.TEST,
    StepName.PUSH,
)
RELEASE_STEPS: tuple[StepName, ...] = (StepName.REGISTER, StepName.PUBLISH)

#: What must have succeeded before a step may start.
NEEDS: Mapping[StepName, tuple[StepName, ...]] = {
    StepName.FETCH: (),
    StepName.BUILD: (StepName.FETCH,),
    # An existing image has nothing to build: then only fetch keeps inspect from starting.
    StepName.INSPECT: (StepName.FETCH, StepName.BUILD),
    StepName.SCAN: (StepName.INSPECT,),
    StepName.TEST: (StepName.INSPECT,),
    StepName.PUSH: (StepName.INSPECT, StepName.SCAN, StepName.TEST),
    StepName.REGISTER: (),
    StepName.PUBLISH: (StepName.REGISTER,),
}


class AttemptState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    CANCELLING = "cancelling", "Cancelling"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    ERRORED = "errored", "Errored"
    TIMED_OUT = "timed_out", "Timed out"
    LOST = "lost", "Lost"
    CANCELLED = "cancelled", "Cancelled"


class StepState(models.TextChoices):
    """A step shows the state of its latest attempt, or why it has none."""

    WAITING = "waiting", "Waiting"
    BLOCKED = "blocked", "Blocked"
    SKIPPED = "skipped", "Skipped"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    CANCELLING = "cancelling", "Cancelling"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    ERRORED = "errored", "Errored"
    TIMED_OUT = "timed_out", "Timed out"
    LOST = "lost", "Lost"
    CANCELLED = "cancelled", "Cancelled"


class RunState(models.TextChoices):
    ACTIVE = "active", "Active"
    PASSED = "passed", "Passed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    SUPERSEDED = "superseded", "Superseded"


class VersionState(models.TextChoices):
    DRAFT = "draft", "Draft"
    SUBMITTED = "submitted", "Submitted"


class ReleaseState(models.TextChoices):
    DRAFT = "draft", "Draft"
    IN_REVIEW = "in_review", "In review"
    CHANGES_REQUESTED = "changes_requested", "Changes requested"
    APPROVED = "approved", "Approved"
    REGISTERING = "registering", "Registering"
    REGISTRATION_FAILED = "registration_failed", "Registration failed"
    REGISTERED = "registered", "Registered"
    PUBLISHING = "publishing", "Publishing"
    PUBLISHED = "published", "Published"
    SUPERSEDED = "superseded", "Superseded"
    WITHDRAWN = "withdrawn", "Withdrawn"


A = AttemptState
ATTEMPT_MOVES: Mapping[str, frozenset[str]] = {
    A.QUEUED: frozenset({A.RUNNING, A.CANCELLED}),
    A.RUNNING: frozenset({A.SUCCEEDED, A.FAILED, A.ERRORED, A.TIMED_OUT, A.LOST, A.CANCELLING}),
    # A worker that finishes before it hears of the cancel still ends as cancelled; one that died ends so too.
    A.CANCELLING: frozenset({A.CANCELLED}),
}
ATTEMPT_OPEN = frozenset({A.QUEUED, A.RUNNING, A.CANCELLING})
ATTEMPT_FINAL = frozenset(set(A.values) - ATTEMPT_OPEN)
STEP_UNSUCCESSFUL = frozenset({A.FAILED, A.ERRORED, A.TIMED_OUT, A.LOST, A.CANCELLED})

R = ReleaseState
RELEASE_MOVES: Mapping[str, frozenset[str]] = {
    R.DRAFT: frozenset({R.IN_REVIEW, R.WITHDRAWN}),
    R.IN_REVIEW: frozenset({R.APPROVED, R.CHANGES_REQUESTED, R.WITHDRAWN}),
    R.CHANGES_REQUESTED: frozenset({R.IN_REVIEW, R.WITHDRAWN}),
    R.APPROVED: frozenset({R.REGISTERING, R.WITHDRAWN}),
    R.REGISTERING: frozenset({R.REGISTERED, R.REGISTRATION_FAILED}),
    R.REGISTRATION_FAILED: frozenset({R.REGISTERING, R.WITHDRAWN}),
    R.REGISTERED: frozenset({R.PUBLISHING, R.WITHDRAWN}),
    # A change set that AWS refuses leaves the resource registered; Publish may be pressed again.
    R.PUBLISHING: frozenset({R.PUBLISHED, R.REGISTERED}),
    R.PUBLISHED: frozenset({R.SUPERSEDED, R.WITHDRAWN}),
}
RELEASE_OPEN = frozenset(
    {
        R.DRAFT,
        R.IN_REVIEW,
        R.CHANGES_REQUESTED,
        R.APPROVED,
        R.REGISTERING,
        R.REGISTRATION_FAILED,
        R.REGISTERED,
        R.PUBLISHING,
    }
)

RELEASE_DONE = frozenset({R.PUBLISHED, R.SUPERSEDED})

VERSION_MOVES: Mapping[str, frozenset[str]] = {VersionState.DRAFT: frozenset({VersionState.SUBMITTED})}
RUN_MOVES: Mapping[str, frozenset[str]] = {
    # A retried step reopens its run.
    RunState.ACTIVE: frozenset({RunState.PASSED, RunState.FAILED, RunState.CANCELLED, RunState.SUPERSEDED}),
    RunState.FAILED: frozenset({RunState.ACTIVE}),
    RunState.CANCELLED: frozenset({RunState.ACTIVE}),
}


class IllegalMove(Exception):
    """The table has no such move; a bug in the caller."""


class StaleState(Exception):
    """The row was no longer in the expected state, or the lease was another's."""


_ANY_LEASE = object()


def transition(
    model: type[models.Model],
    pk: UUID,
    *,
    moves: Mapping[str, frozenset[str]],
    source: str,
    target: str,
    holder: object = _ANY_LEASE,
    where: Mapping[str, Any] | None = None,
    **fields: Any,
) -> None:
    """Move one row from ``source`` to ``target``, writing ``fields`` in the same statement.

    ``holder`` (UUID or None), when given, must equal the row's lease; ``where`` adds further conditions.
    Raises IllegalMove if the table does not have the move, StaleState if no row matched.
    """
    if target not in moves.get(source, frozenset()):
        raise IllegalMove(f"{model.__name__}: {source} -> {target}")
    rows = model._default_manager.filter(pk=pk, state=source, **(where or {}))
    if holder is not _ANY_LEASE:
        rows = rows.filter(lease=holder)
    if rows.update(state=target, **fields) != 1:
        raise StaleState(f"{model.__name__} {pk} is not {source}, or its lease has passed on")


def run_state(step_states: Mapping[str, str], *, superseded: bool = False) -> RunState:
    """The state of a run, from the states of its steps (name -> StepState value)."""
    states = set(step_states.values())
    if states & ATTEMPT_OPEN or StepState.WAITING in states:
        return RunState.ACTIVE
    if superseded:
        return RunState.SUPERSEDED
    if AttemptState.CANCELLED in states:
        return RunState.CANCELLED
    if states <= {StepState.SUCCEEDED, StepState.SKIPPED}:
        return RunState.PASSED
    return RunState.FAILED
