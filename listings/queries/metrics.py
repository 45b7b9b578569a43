"""Numbers for monitoring, read from the database, so that every web process says the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, Q, Sum
from django.utils import timezone

from listings.models import Attempt, CommitStatus, Delivery, Notice, Release, Run, WorkerProcess
from listings.services import workers
from listings.states import ATTEMPT_FINAL, AttemptState, ReleaseState, RunState, StepName

#: Upper bounds in seconds: a fetch takes a few, a registration may take a day.
BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
OUTCOMES = tuple(state for state in AttemptState.values if state in ATTEMPT_FINAL)


@dataclass(frozen=True, slots=True)
class Durations:
    """``counts`` has one number per bound of BUCKETS, cumulative; ``total`` is all, ``seconds`` their sum."""

    counts: tuple[int, ...]
    total: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    length: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Numbers:
    """One reading. Counts by step, (step, outcome), state or (provider, decision)."""

    waiting: dict[str, Waiting]
    running: dict[str, int]
    parked: dict[str, int]
    attempts: dict[tuple[str, str], int]
    durations: dict[str, Durations]
    runs: dict[str, int]
    releases: dict[str, int]
    deliveries: dict[tuple[str, str], int]
    statuses_waiting: int
    mails_unsent: int
    busy: dict[str, int]
    workers: list[WorkerProcess]
    read_at: datetime


def read() -> Numbers:
    """Everything in a fixed number of queries. Those over all attempts grow with them: ask no oftener than needed."""
    now = timezone.now()
    parked = Attempt.objects.filter(state=AttemptState.RUNNING, lease__isnull=True)
    held = Attempt.objects.filter(state__in=(AttemptState.RUNNING, AttemptState.CANCELLING), lease__isnull=False)
    ended = Attempt.objects.filter(state__in=OUTCOMES).values_list("step__name", "state").annotate(n=Count("pk"))
    deliveries = Delivery.objects.values_list("webhook__provider", "decision").annotate(n=Count("pk")).order_by()
    zeros = {(step, outcome): 0 for step in StepName.values for outcome in OUTCOMES}
    return Numbers(
        waiting=_waiting(now),
        running=_by(held, "step__name", StepName.values),
        parked=_by(parked, "step__name", StepName.values),
        attempts=zeros | {(step, state): n for step, state, n in ended.order_by()},
        durations=_durations(),
        runs=_by(Run.objects.all(), "state", RunState.values),
        releases=_by(Release.objects.all(), "state", ReleaseState.values),
        deliveries={(provider, decision): n for provider, decision, n in deliveries},
        statuses_waiting=CommitStatus.objects.filter(next_at__isnull=False).count(),
        mails_unsent=Notice.objects.filter(mailed_at__isnull=True).count(),
        busy=_by(held, "queue", workers.QUEUES),
        workers=list(WorkerProcess.objects.order_by("name")),
        read_at=now,
    )


def _by(rows: Any, column: str, known: Iterable[str]) -> dict[str, int]:
    counted = rows.order_by().values_list(column).annotate(n=Count("pk"))
    return dict.fromkeys(known, 0) | dict(counted)


def _waiting(now: datetime) -> dict[str, Waiting]:
    rows = Attempt.objects.filter(state=AttemptState.QUEUED).order_by().values_list("step__name")
    found = {
        step: Waiting(count, max(0.0, (now - oldest).total_seconds()))
        for step, count, oldest in rows.annotate(n=Count("pk"), oldest=Min("created_at"))
    }
    return dict.fromkeys(StepName.values, Waiting(0, 0.0)) | found


def _durations() -> dict[str, Durations]:
    """Of attempts that a worker ended; of a lost one only the moment is known at which it was missed."""
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    ended = Attempt.objects.filter(state__in=OUTCOMES, started_at__isnull=False, finished_at__isnull=False)
    within = {
        f"within_{index}": Count("pk", filter=Q(took__lte=timedelta(seconds=bound)))
        for index, bound in enumerate(BUCKETS)
    }
    rows = ended.exclude(state=AttemptState.LOST).annotate(took=took).order_by().values("step__name")
    found = {
        row["step__name"]: Durations(
            tuple(row[name] for name in within), row["total"], row["seconds"].total_seconds() if row["seconds"] else 0.0
        )
        for row in rows.annotate(total=Count("pk"), seconds=Sum("took"), **within)
    }
    return dict.fromkeys(StepName.values, Durations((0,) * len(BUCKETS), 0, 0.0)) | found
