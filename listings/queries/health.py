"""The admins' health page: what is wrong and what to do, then the state of every part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from listings import links, problems
from listings.about import VERSION
from listings.models import Attempt, Blob, Delivery, Instance, Notice, Run, UploadPurpose, WorkerProcess
from listings.problems import Owner
from listings.services import dependencies, planning, workers
from listings.states import ATTEMPT_OPEN, AttemptState, RunState
from listings.templatetags.slipway import ago_text, duration

#: A worker that died is remembered on the page for a day.
REMEMBERED = timedelta(days=1)
LONG_WAIT = timedelta(minutes=10)
NO_PROGRESS = timedelta(minutes=2)
OVERDUE = timedelta(minutes=5)
MAIL_GRACE = timedelta(minutes=1)
_SHOWN = 12
_LABELS = {"database": "Database", "broker": "Redis", "storage": "Storage"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in the catalogue's words. ``where`` names the part, ``url`` leads to it."""

    tone: str  # "fail" | "warn"
    code: str
    where: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True, slots=True)
class WorkerRow:
    worker: WorkerProcess
    state: str  # "ready" | "unready" | "silent"
    problems: list[dict[str, Any]]
    busy: int

    @property
    def detail(self) -> dict[str, Any]:
        return self.worker.detail


@dataclass(frozen=True, slots=True)
class QueueRow:
    """``waiting`` are the first attempts with their place; ``length`` counts all."""

    name: str
    length: int
    running: int
    slots: int
    oldest: datetime | None
    waiting: list[tuple[Attempt, planning.Place]]


def health_page() -> dict[str, Any]:
    """Everything, in a fixed number of queries; a dependency that fails is a finding, never an error."""
    now = timezone.now()
    answers = dependencies.ask_all()
    rows = _workers(now)
    queues = [_queue(queue, now) for queue in workers.QUEUES]
    found = [
        *_of_dependencies(answers), *_of_clock(answers["broker"], now), *_of_workers(rows, now),
        *_of_queues(queues, now), *_of_runs(now), *_of_polls(now), *_of_deliveries(now), *_of_mail(now),
    ]  # fmt: skip
    return {
        "now": now,
        "findings": sorted(found, key=lambda finding: finding.tone != "fail"),
        "dependencies": [(_LABELS[name], answers[name]) for name in dependencies.OWN],
        "workers": rows,
        "queues": queues,
        "errored": _errored(now),
        "disk": answers["storage"],
        "sizes": _sizes(),
        "facts": _facts(),
    }


def _of_dependencies(answers: Mapping[str, dependencies.Answer]) -> Iterator[Finding]:
    for name in dependencies.OWN:
        if not answers[name].ok:
            yield Finding("fail", answers[name].code, _LABELS[name], answers[name].params)


def _of_clock(broker: dependencies.Answer, now: datetime) -> Iterator[Finding]:
    if not broker.ok:  # then nobody can tell, and nothing ticks
        return
    silence = now.timestamp() - broker.told if broker.told else None
    if silence is None or silence > max(60.0, 6 * settings.SLIPWAY.tick_seconds):
        detail = f"It last did {ago_text(silence)}." if silence is not None else "It has not in the last day."
        yield Finding("fail", "CLOCK-SILENT", "Clock", {"detail": detail})


def _workers(now: datetime) -> list[WorkerRow]:
    held: dict[str, int] = {}
    open_ = Attempt.objects.filter(state__in=ATTEMPT_OPEN, lease__isnull=False).values_list("worker", "queue")
    for name, queue in open_:
        key = f"{queue}@{name.rpartition(':')[0]}"
        held[key] = held.get(key, 0) + 1
    rows = []
    for worker in WorkerProcess.objects.filter(seen_at__gt=now - REMEMBERED).order_by("-queue", "name"):
        silent = now - worker.seen_at > workers.SILENT
        state = "silent" if silent else "ready" if worker.slots else "unready"
        busy = held.get(f"{worker.queue}@{worker.host}", 0)
        rows.append(WorkerRow(worker, state, workers.problems_of(worker), busy))
    return rows


def _of_workers(rows: list[WorkerRow], now: datetime) -> Iterator[Finding]:
    for queue in workers.QUEUES:
        mine = [row for row in rows if row.worker.queue == queue]
        if not any(row.state != "silent" for row in mine):
            seen = max((row.worker.seen_at for row in mine), default=None)
            said = "None was seen in the last day."
            if seen is not None:
                said = f"The last one was seen {ago_text((now - seen).total_seconds())}."
            yield Finding("fail", "WORKER-GONE", f"{queue.capitalize()} workers", {"queue": queue, "detail": said})
            continue
        yield from _of_worker_rows(mine, now)


def _of_worker_rows(rows: list[WorkerRow], now: datetime) -> Iterator[Finding]:
    for row in rows:
        if row.state == "silent":
            ago = ago_text((now - row.worker.seen_at).total_seconds())
            yield Finding("warn", "WORKER-SILENT", row.worker.name, {"ago": ago})
            continue
        for found in row.problems:
            tone = "warn" if found["code"] == "WORKER-PREPARING" else "fail"
            yield Finding(tone, found["code"], row.worker.name, found.get("params") or {})
        for found in row.detail.get("warnings") or []:
            yield Finding("warn", found["code"], row.worker.name, found.get("params") or {})


def _queue(queue: str, now: datetime) -> QueueRow:
    places = planning.places(queue, now)
    first = sorted(places, key=lambda pk: places[pk].position)[:_SHOWN]
    attempts = _with_owner(Attempt.objects.filter(pk__in=first)).order_by("created_at")
    queued = Attempt.objects.filter(queue=queue, state=AttemptState.QUEUED)
    held = Attempt.objects.filter(queue=queue, state__in=ATTEMPT_OPEN, lease__isnull=False)
    slots = workers.alive(queue, now).aggregate(total=Sum("slots"))["total"] or 0
    oldest = queued.order_by("created_at").values_list("created_at", flat=True).first()
    waiting = [(attempt, places[attempt.pk]) for attempt in attempts]
    return QueueRow(queue, len(places), held.count(), int(slots), oldest, waiting)


def _with_owner(attempts: Any) -> Any:
    return attempts.select_related("step__run__version__listing__team", "step__release__version__listing__team")


def _of_queues(queues: Iterable[QueueRow], now: datetime) -> Iterator[Finding]:
    for row in queues:
        if row.oldest is not None and now - row.oldest > LONG_WAIT:
            age = duration((now - row.oldest).total_seconds())
            params = {"queue": row.name, "age": age, "waiting": str(row.length)}
            yield Finding("warn", "QUEUE-OLD", f"Queue {row.name}", params, "#queues")


def _of_runs(now: datetime) -> Iterator[Finding]:
    """Active runs of which nothing is queued or runs, and of which nothing has changed for a while."""
    moving = Attempt.objects.filter(state__in=ATTEMPT_OPEN, step__run__isnull=False).values("step__run")
    late = now - NO_PROGRESS
    fresh = Attempt.objects.filter(finished_at__gt=late, step__run__isnull=False).values("step__run")
    stuck = Run.objects.filter(state=RunState.ACTIVE, created_at__lt=late).exclude(pk__in=moving).exclude(pk__in=fresh)
    for run in stuck.select_related("version__listing__team")[:_SHOWN]:
        ended = Attempt.objects.filter(step__run=run).order_by("-finished_at").values_list("finished_at", flat=True)
        since = ended.first() or run.created_at
        params = {"run": f"{run.version}, run {run.number},", "age": ago_text((now - since).total_seconds())}
        yield Finding("fail", "RUN-STUCK", str(run.version), params, links.run(run))


def _of_polls(now: datetime) -> Iterator[Finding]:
    overdue = Attempt.objects.filter(state=AttemptState.RUNNING, lease__isnull=True, poll_at__lt=now - OVERDUE)
    for attempt in _with_owner(overdue).order_by("poll_at")[:_SHOWN]:
        assert attempt.poll_at is not None
        params = {
            "step": attempt.step.get_name_display(), "version": str(attempt.step.version),
            "age": duration((now - attempt.poll_at).total_seconds()),
        }  # fmt: skip
        yield Finding("fail", "POLL-OVERDUE", str(attempt.step.version), params, _url(attempt))


def _of_deliveries(now: datetime) -> Iterator[Finding]:
    failed = Delivery.objects.filter(decision="failed", created_at__gt=now - REMEMBERED)
    count = failed.count()
    if count:
        latest = failed.select_related("webhook__listing__team").order_by("-created_at")[0]
        listing = latest.webhook.listing
        params = {"count": str(count), "listing": f"{listing.team}: {listing}"}
        yield Finding("warn", "DELIVERY-FAILED", "Webhooks", params, links.listing(listing))


def _of_mail(now: datetime) -> Iterator[Finding]:
    recent = (now - timedelta(days=7), now - MAIL_GRACE)
    count = Notice.objects.filter(mailed_at__isnull=True, created_at__range=recent).count()
    if count:
        yield Finding("warn", "MAIL-UNSENT", "Mail", {"count": str(count)})


def _url(attempt: Attempt) -> str:
    step = attempt.step
    if step.run is not None:
        return links.run(step.run)
    assert step.release is not None
    return links.release(step.release)


def _errored(now: datetime) -> list[dict[str, Any]]:
    """Attempts of the last day that ended by our fault or AWS's, newest first."""
    ends = (AttemptState.ERRORED, AttemptState.LOST, AttemptState.TIMED_OUT)
    rows = Attempt.objects.filter(state__in=ends, finished_at__gt=now - REMEMBERED).order_by("-finished_at")
    return [{"attempt": row, "url": _url(row), "owner": _owner(row.problem_code)} for row in _with_owner(rows)[:_SHOWN]]


def _owner(code: str) -> str:
    try:
        return {Owner.PLATFORM: "Slipway", Owner.AWS: "AWS"}.get(problems.get(code).owner, "seller")
    except KeyError:  # none, or one of another release
        return ""


def _sizes() -> list[tuple[str, int]]:
    """What fills storage, in bytes; a file that serves twice counts in both."""
    kinds = [
        (purpose.label, Blob.objects.filter(uploads__purpose=purpose.value).distinct()) for purpose in UploadPurpose
    ]
    logs = Attempt.objects.filter(log__isnull=False).values("log")
    bodies = Delivery.objects.filter(body__isnull=False).values("body")
    kinds += [("Logs", Blob.objects.filter(pk__in=logs)), ("Deliveries", Blob.objects.filter(pk__in=bodies))]
    found = [(label, _sum(rows)) for label, rows in kinds]
    return [*found, ("All files", _sum(Blob.objects.all())), ("Database", _database_size())]


def _sum(rows: Any) -> int:
    return int(Blob.objects.filter(pk__in=rows.values("pk")).aggregate(total=Sum("size"))["total"] or 0)


def _database_size() -> int:
    queries = {
        "postgresql": "SELECT pg_database_size(current_database())",
        "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    }
    with connection.cursor() as cursor:
        cursor.execute(queries[connection.vendor])
        return int(cursor.fetchone()[0])


def _facts() -> list[tuple[str, str]]:
    config = settings.SLIPWAY
    count = sum(bool(key.strip()) for key in config.encryption_keys.get_secret_value().split(","))
    token = bool(config.metrics_token.get_secret_value())
    metrics = "with the token" if token else "nobody: no token is set" if config.is_production else "this machine only"
    return [
        ("Slipway", VERSION),
        ("Mode", config.env),
        ("Installation", str(Instance.current_id())),
        ("Address", config.public_url),
        ("Database", {"postgresql": "PostgreSQL", "sqlite": "SQLite"}[connection.vendor]),
        ("AWS", "stand-in" if config.aws_endpoint_url else config.aws_region),
        ("Sign-up", config.signup),
        ("Mail", "by a server" if config.mail_url else "kept in the outbox"),
        ("Metrics", metrics),
        ("Encryption keys", str(count) if count else "one, made from the secret key"),
    ]
