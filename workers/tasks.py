"""The Celery tasks: thin. Their names are the only thing that the portal knows of workers."""

from __future__ import annotations

import logging
import os
from uuid import UUID

import billiard.pool
from celery import shared_task
from celery.signals import worker_init, worker_process_init, worker_ready, worker_shutting_down
from django.conf import settings
from django.db import close_old_connections

from listings import livelog
from listings.models import Run
from listings.services import incoming, leases, planning
from workers import execution, freeing, memory, presence
from workers.codehosts import send
from workers.lifeline import die_with_parent

logger = logging.getLogger(__name__)
#: Celery loads its tasks before it forks its pool, so this is the pool's parent.
_loaded_in = os.getpid()
#: How often the process that ticks gives memory back: many open runs are much to plan for a moment.
TIDY_SECONDS = 20.0
#: How often, at intervals of 0.1 s, a pool process that ends looks whether its parent took note of its last result.
#: Nobody reads results here. Celery 5.7.0 forgets a task that was handed over just before it is told to stop, and a
#: process with such a task would look 300 times (billiard 4.3.2): half a minute for each restart that meets one.
LOOKS_BEFORE_END = 20


@shared_task(name="slipway.execute")
def execute(attempt_id: str) -> None:
    """Run one attempt, if it is still to be run."""
    close_old_connections()
    try:
        execution.run_attempt(UUID(attempt_id))
    finally:
        memory.give_back()


@shared_task(name="slipway.plan")
def plan(run_id: str) -> None:
    """Plan a run that was made a moment ago by somebody who waited for an answer."""
    close_old_connections()
    run = Run.objects.filter(pk=run_id).first()
    if run is not None:
        planning.plan(run)


@shared_task(name="slipway.tick")
def tick() -> None:
    """End what died, plan what is due, and hint at what waits."""
    close_old_connections()
    leases.lose_expired()
    leases.time_out_parked()
    for owner in planning.open_owners():
        try:
            planning.plan(owner)
        except Exception:
            # One that cannot be planned must not hold back all the others.
            logger.exception("%s could not be planned", owner.pk)
    planning.dispatch()
    incoming.purge()
    livelog.note_tick(settings.SLIPWAY.redis_url)
    memory.give_back(at_most_every=TIDY_SECONDS)


@shared_task(name="slipway.report_statuses")
def report_statuses() -> None:
    """Tell code hosts how the runs of their commits go. A task of its own: a slow host must not hold up the tick."""
    close_old_connections()
    send.send_due()


@shared_task(name="slipway.free_staged_images")
def free_staged_images() -> None:
    """Make room in the staging registry."""
    close_old_connections()
    freeing.free_staged_images()


@worker_init.connect
def _before_the_pool(**kwargs: object) -> None:
    execution.load_steps()
    billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = LOOKS_BEFORE_END


@worker_process_init.connect
def _in_pool_child(**kwargs: object) -> None:
    die_with_parent(_loaded_in)


@worker_ready.connect
def _announce_worker(sender: object, **kwargs: object) -> None:
    presence.start(sender)


@worker_shutting_down.connect
def _worker_leaves(**kwargs: object) -> None:
    presence.leave()
