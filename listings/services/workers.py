"""What worker processes last said of themselves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from listings import problems
from listings.models import WorkerProcess

#: A worker that has not been seen for this long takes no work.
SILENT = timedelta(seconds=30)
QUEUES = ("engine", "control")


def alive(queue: str, now: datetime) -> QuerySet[WorkerProcess]:
    """The workers of a queue that gave a sign of life lately."""
    return WorkerProcess.objects.filter(queue=queue, seen_at__gt=now - SILENT)


def problems_of(worker: WorkerProcess) -> list[dict[str, Any]]:
    """Why a worker takes no work, worst first: catalogue codes (``code``) and their values (``params``)."""
    return [found for found in worker.detail.get("problems") or [] if isinstance(found, dict) and "code" in found]


def summary(now: datetime) -> dict[str, dict[str, Any]]:
    """Queue -> workers alive, those ready, their slots, and the codes of what keeps the others. No names, no hosts."""
    told: dict[str, dict[str, Any]] = {}
    for queue in QUEUES:
        rows = list(alive(queue, now))
        told[queue] = {
            "alive": len(rows),
            "ready": sum(row.slots > 0 for row in rows),
            "slots": sum(row.slots for row in rows),
            "reasons": sorted({str(found["code"]) for row in rows for found in problems_of(row)}),
        }
    return told


def why_none_is_ready(workers: Iterable[WorkerProcess]) -> str:
    """One sentence for who waits, without hosts' inner details; empty if one of ``workers`` has slots."""
    said = []
    for worker in workers:
        if worker.slots:
            return ""
        titles = [_title(found) for found in problems_of(worker)]
        reason = f": {titles[0]}" if titles else ""
        said.append(f"the {worker.queue} worker on {worker.host} is not ready{reason}")
    return "; ".join(said[:3])


def _title(found: dict[str, Any]) -> str:
    try:
        problem = problems.get(str(found["code"]))
    except KeyError:  # a worker of another release
        return str(found["code"])
    title = problems.fill(problem.title, found.get("params") or {})
    return title[:1].lower() + title[1:]
