"""The only scheduler. The database is the truth; broker messages are hints.

``plan`` reads the steps of one run or release, asks the pure ``next_steps``, and creates attempts.
``dispatch`` hints at queued attempts: only as many as workers have free slots for, within the limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from listings.models import Attempt, Release, Run, SourceKind, Step, Version
from listings.models.runs import Trigger
from listings.services import journal, signals, workers
from listings.states import (
    ATTEMPT_MOVES,
    ATTEMPT_OPEN,
    NEEDS,
    RELEASE_OPEN,
    RELEASE_STEPS,
    RUN_MOVES,
    RUN_STEPS,
    STEP_UNSUCCESSFUL,
    AttemptState,
    RunState,
    StaleState,
    StepName,
    StepState,
    run_state,
    transition,
)  # fmt: skip

CONTROL, ENGINE = "control", "engine"
#: Why the planner, and nobody else, starts a step again.
AFTER_LOSS = "after its worker was lost"
_POSITION: dict[str, int] = {name: position for position, name in enumerate(NEEDS)}
_DONE = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})


def queue_of(step: str) -> str:
    return CONTROL if step in RELEASE_STEPS else ENGINE


@dataclass(frozen=True, slots=True)
class StepView:
    """What ``next_steps`` needs to know of a step: its state, and how often in a row its worker was lost."""

    state: str
    losses: int = 0


@dataclass(frozen=True, slots=True)
class Moves:
    start: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    unblock: tuple[str, ...] = ()


def next_steps(steps: Mapping[str, StepView], *, loss_limit: int) -> Moves:
    """Which steps to start, to block, and to unblock. Pure.

    A step starts when all it needs is done; a lost one starts again, at most ``loss_limit`` times;
    one behind an unsuccessful or blocked step is blocked.
    """
    start, block, unblock = [], [], []
    states = {name: view.state for name, view in steps.items()}
    for name in sorted(steps, key=_POSITION.__getitem__):
        view = steps[name]
        if view.state == AttemptState.LOST and view.losses <= loss_limit:
            start.append(name)
            states[name] = StepState.QUEUED
        elif view.state in (StepState.WAITING, StepState.BLOCKED):
            needs = [states[need] for need in NEEDS[StepName(name)] if need in states]
            if all(state in _DONE for state in needs):
                start.append(name)
                states[name] = StepState.QUEUED
            elif any(state in STEP_UNSUCCESSFUL or state == StepState.BLOCKED for state in needs):
                states[name] = StepState.BLOCKED
                if view.state == StepState.WAITING:
                    block.append(name)
            elif view.state == StepState.BLOCKED:
                states[name] = StepState.WAITING
                unblock.append(name)
    return Moves(tuple(start), tuple(block), tuple(unblock))


def losses_in_a_row(attempts: Iterable[tuple[str, str]]) -> int:
    """How many of the latest attempts (state and reason, oldest first) were lost, one after the other.

    One that a person asked for begins the count anew.
    """
    count = 0
    for state, reason in reversed(list(attempts)):
        if state != AttemptState.LOST:
            break
        count += 1
        if reason != AFTER_LOSS:
            break
    return count


def given_up(step: Step) -> bool:
    """Whether the step's worker was lost so often in a row that it is not tried again."""
    attempts = step.attempts.order_by("number").values_list("state", "reason")
    return losses_in_a_row(attempts) > settings.SLIPWAY.infrastructure_retries


@transaction.atomic
def start_run(version: Version, user: Any, trigger: Trigger, *, at_once: bool = True) -> Run:
    """Make the next run of a version with its steps, and plan it; unless ``at_once``, a control worker plans it."""
    number = (version.runs.aggregate(last=Max("number"))["last"] or 0) + 1
    run = Run.objects.create(version=version, number=number, trigger=trigger, started_by=user)
    skipped = {StepName.BUILD} if version.source_kind == SourceKind.IMAGE else set()
    Step.objects.bulk_create([
        Step(run=run, name=name, position=i, state=StepState.SKIPPED if name in skipped else StepState.WAITING)
        for i, name in enumerate(RUN_STEPS)
    ])  # fmt: skip
    journal.run_started(run)
    if at_once:
        plan(run)
    else:
        signals.plan_after_commit(run.pk)
    return run


def supersede(runs: QuerySet[Run]) -> None:
    """A newer commit takes the place of those of ``runs`` of which nothing has begun yet. Planning them ends them."""
    begun = Attempt.objects.filter(step__run=OuterRef("pk")).exclude(state=AttemptState.QUEUED)
    # Those that are marked already were hinted at, and however long nobody plans: each commit marks only the last one.
    waiting = list(runs.filter(~Exists(begun), state=RunState.ACTIVE, superseded=False).values_list("pk", flat=True))
    if not waiting:
        return
    Run.objects.filter(pk__in=waiting, state=RunState.ACTIVE).update(superseded=True)
    for pk in waiting:
        signals.plan_after_commit(pk)


def plan(owner: Run | Release) -> None:
    """Create what attempts are due for one run or release, and hint at them; end a run that is superseded."""
    with transaction.atomic():
        if isinstance(owner, Run):
            hold(owner)
            if owner.superseded:
                stop(None, owner)
            _advance(owner)
            sync_run(owner)
        elif Release.objects.filter(pk=owner.pk, state__in=RELEASE_OPEN).exists():
            _advance(owner)
    dispatch()


def hold(run: Run) -> None:
    """Let nobody else plan this run until the transaction ends.

    Whoever plans last must have read what the others wrote; else a run could end on what its steps were before.
    """
    Run.objects.filter(pk=run.pk).update(number=F("number"))
    # A newer commit may have taken its place since it was read.
    run.refresh_from_db(fields=("superseded",))


def _moves_of(owner: Run | Release) -> tuple[dict[str, Step], dict[str, StepView], Moves]:
    steps = {step.name: step for step in owner.steps.prefetch_related("attempts")}
    views = {
        name: StepView(
            step.state, losses_in_a_row([(attempt.state, attempt.reason) for attempt in step.attempts.all()])
        )
        for name, step in steps.items()
    }
    return steps, views, next_steps(views, loss_limit=settings.SLIPWAY.infrastructure_retries)


def _advance(owner: Run | Release) -> None:
    steps, views, moves = _moves_of(owner)
    for name in moves.start:
        queue_attempt(steps[name], AFTER_LOSS if views[name].losses else "")
    for names, source, target in (
        (moves.block, StepState.WAITING, StepState.BLOCKED),
        (moves.unblock, StepState.BLOCKED, StepState.WAITING),
    ):
        for name in names:
            Step.objects.filter(pk=steps[name].pk, state=source).update(state=target)
            journal.announce_step(steps[name], target)


def queue_attempt(step: Step, reason: str = "") -> Attempt | None:
    """A new queued attempt, or None if the step has moved on since it was read: another planner was first."""
    with transaction.atomic():
        if not Step.objects.filter(pk=step.pk, state=step.state).update(state=StepState.QUEUED):
            return None
        return _create_attempt(step, reason)


def _create_attempt(step: Step, reason: str) -> Attempt | None:
    number = (step.attempts.aggregate(last=Max("number"))["last"] or 0) + 1
    try:
        with transaction.atomic():
            attempt = Attempt.objects.create(step=step, number=number, queue=queue_of(step.name), reason=reason[:120])
    except IntegrityError:  # one open attempt per step
        return None
    set_step(step, StepState.QUEUED)
    return attempt


def set_step(step: Step, state: str) -> None:
    """Repeat the latest attempt's state on its step, and tell open pages."""
    Step.objects.filter(pk=step.pk).update(state=state)
    step.state = state
    journal.announce_step(step, state)


@transaction.atomic
def cancel_attempt(user: Any, attempt: Attempt) -> bool:
    """Queued and parked attempts end at once; held ones move to cancelling and their worker ends them.

    Returns whether there was anything to cancel.
    """
    ended = {"finished_at": timezone.now()}
    if _try_move(attempt, AttemptState.QUEUED, AttemptState.CANCELLED, cancelled_by=user, **ended):
        set_step(attempt.step, AttemptState.CANCELLED)
        return True
    if not _try_move(attempt, AttemptState.RUNNING, AttemptState.CANCELLING, cancelled_by=user):
        return False
    parked = _try_move(attempt, AttemptState.CANCELLING, AttemptState.CANCELLED, holder=None, poll_at=None, **ended)
    set_step(attempt.step, AttemptState.CANCELLED if parked else AttemptState.CANCELLING)
    return True


def _try_move(attempt: Attempt, source: str, target: str, **fields: Any) -> bool:
    try:
        transition(Attempt, attempt.pk, moves=ATTEMPT_MOVES, source=source, target=target, **fields)
    except StaleState:
        return False
    return True


def stop(user: Any, owner: Run | Release) -> bool:
    """Cancel what is open, and what would start next: a run between two steps has no open attempt.

    Looks again until it finds nothing, as a worker may end its step meanwhile. Returns whether anything was stopped.
    """
    stopped = False
    while True:
        steps, _views, moves = _moves_of(owner)
        found = _cancel_steps(steps[name] for name in moves.start)
        attempts = Attempt.objects.filter(step__in=[step.pk for step in steps.values()])
        for attempt in attempts.filter(state__in=(AttemptState.QUEUED, AttemptState.RUNNING)).select_related("step"):
            found = cancel_attempt(user, attempt) or found
        if not found:
            return stopped
        stopped = True


def _cancel_steps(steps: Iterable[Step]) -> bool:
    found = False
    for step in steps:
        if Step.objects.filter(pk=step.pk, state=step.state).update(state=StepState.CANCELLED):
            journal.announce_step(step, StepState.CANCELLED)
            found = True
    return found


def sync_run(run: Run) -> None:
    """Bring a run's stored state in line with its steps; on its end, tell who should know."""
    states = dict(Step.objects.filter(run=run).values_list("name", "state"))
    wanted = run_state(states, superseded=run.superseded)
    current = Run.objects.values_list("state", flat=True).get(pk=run.pk)
    if wanted == current:
        return
    finished = None if wanted == RunState.ACTIVE else timezone.now()
    try:
        transition(Run, run.pk, moves=RUN_MOVES, source=current, target=wanted, finished_at=finished)
    except StaleState:
        return
    run.state, run.finished_at = wanted, finished
    journal.run_changed(run)


def dispatch(now: datetime | None = None) -> int:
    """Hint at queued attempts, oldest first, within free slots and limits. Returns how many."""
    now = now or timezone.now()
    hinted = 0
    for queue in (ENGINE, CONTROL):
        free = _free_slots(queue, now)
        if free <= 0:
            continue
        for attempt in _eligible(queue, now)[:free]:
            rows = Attempt.objects.filter(pk=attempt.pk, state=attempt.state, hinted_at=attempt.hinted_at)
            if rows.update(hinted_at=now):
                signals.hint_after_commit(attempt.pk, queue)
                hinted += 1
    return hinted


def _stale_hint(now: datetime) -> Q:
    return Q(hinted_at__isnull=True) | Q(hinted_at__lt=now - timedelta(seconds=settings.SLIPWAY.hint_repeat_seconds))


def _due(now: datetime) -> Q:
    """Queued, or parked with its time come."""
    return Q(state=AttemptState.QUEUED) | Q(state=AttemptState.RUNNING, lease__isnull=True, poll_at__lte=now)


def _free_slots(queue: str, now: datetime) -> int:
    slots = workers.alive(queue, now).aggregate(total=Sum("slots"))["total"] or 0
    held = Attempt.objects.filter(queue=queue, lease__isnull=False, state__in=("running", "cancelling")).count()
    on_the_way = Attempt.objects.filter(_due(now), queue=queue).exclude(_stale_hint(now)).count()
    return int(slots) - held - on_the_way


def _waiting(queue: str, now: datetime) -> list[Attempt]:
    rows = Attempt.objects.filter(_due(now), queue=queue).order_by("created_at")
    return list(rows.select_related("step__run__version__listing", "step__release__version__listing"))


def _eligible(queue: str, now: datetime) -> list[Attempt]:
    """The attempts to hint at next, in order, leaving out those that a limit holds back."""
    before = now - timedelta(seconds=settings.SLIPWAY.hint_repeat_seconds)
    return [
        attempt
        for attempt, held_by in _with_limits(queue, now)
        if not held_by and (attempt.hinted_at is None or attempt.hinted_at < before)
    ]


def _with_limits(queue: str, now: datetime) -> list[tuple[Attempt, str]]:
    config = settings.SLIPWAY
    limits = {StepName.BUILD: config.build_concurrency, StepName.TEST: config.test_concurrency}
    running = Attempt.objects.filter(queue=queue, lease__isnull=False, state__in=("running", "cancelling"))
    by_step: Counter[str] = Counter()
    by_team: Counter[Any] = Counter()
    for attempt in running.select_related("step__run__version__listing", "step__release__version__listing"):
        by_step[attempt.step.name] += 1
        by_team[attempt.step.version.listing.team_id] += 1
    result = []
    for attempt in _waiting(queue, now):
        name, team = attempt.step.name, attempt.step.version.listing.team_id
        held_by = ""
        if by_team[team] >= config.team_concurrency:
            held_by = f"your team may run {config.team_concurrency} steps at once"
        elif name in limits and by_step[name] >= limits[StepName(name)]:
            held_by = f"{limits[StepName(name)]} {name} steps may run at once"
        else:
            by_step[name] += 1
            by_team[team] += 1
        result.append((attempt, held_by))
    return result


@dataclass(frozen=True, slots=True)
class Place:
    """Where a queued attempt stands: ``position`` counts from 1; ``why`` says what it waits for."""

    position: int
    why: str


def place_of(attempt: Attempt, now: datetime | None = None) -> Place | None:
    """The place of a queued attempt, or None if it is not queued."""
    return places(attempt.queue, now).get(attempt.pk) if attempt.state == AttemptState.QUEUED else None


def places(queue: str, now: datetime | None = None) -> dict[Any, Place]:
    """Where each waiting attempt of a queue stands, by its id, in a fixed number of queries."""
    now = now or timezone.now()
    rows = _with_limits(queue, now)
    reason = _slot_reason(queue, now) if rows else ""
    return {row.pk: Place(position, held_by or reason) for position, (row, held_by) in enumerate(rows, start=1)}


def _slot_reason(queue: str, now: datetime) -> str:
    alive = list(workers.alive(queue, now))
    if not alive:
        return f"no {queue} worker is running; an operator must start one"
    unready = workers.why_none_is_ready(alive)
    if unready:
        return unready
    return "waiting for a free worker" if _free_slots(queue, now) <= 0 else "about to start"


def open_owners() -> list[Run | Release]:
    """Runs and releases that may have something to plan."""
    opened = Step.objects.filter(run__isnull=False, state__in=sorted(ATTEMPT_OPEN))
    runs = Run.objects.filter(Q(state=RunState.ACTIVE) | Q(pk__in=opened.values("run")))
    waiting = Step.objects.filter(release__isnull=False, state__in=(StepState.WAITING, StepState.LOST, *ATTEMPT_OPEN))
    releases = Release.objects.filter(state__in=RELEASE_OPEN, steps__in=waiting).distinct()
    return [*runs, *releases]
