"""The three ways out of the domain, wired by portal/celery.py at start-up. Unwired, all are silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction


def _no_hint(attempt_id: UUID, queue: str) -> None:
    """Without a broker, the planner's next tick finds the attempt still queued."""


def _no_planning(run_id: UUID) -> None:
    """Without a broker, the planner's next tick finds the run open."""


def _no_announcement(owner_id: UUID, payload: dict[str, Any]) -> None:
    """Without Redis, pages show the change when they are loaded again."""


send_hint: Callable[[UUID, str], None] = _no_hint
ask_to_plan: Callable[[UUID], None] = _no_planning
announce: Callable[[UUID, dict[str, Any]], None] = _no_announcement


def hint_after_commit(attempt_id: UUID, queue: str) -> None:
    transaction.on_commit(lambda: send_hint(attempt_id, queue), robust=True)


def plan_after_commit(run_id: UUID) -> None:
    transaction.on_commit(lambda: ask_to_plan(run_id), robust=True)


def announce_after_commit(owner_id: UUID, payload: dict[str, Any]) -> None:
    transaction.on_commit(lambda: announce(owner_id, payload), robust=True)
