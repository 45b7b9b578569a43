"""Celery, and what the domain needs from the outside: send a task, have a run planned, announce a change."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any
from uuid import UUID

from celery import Celery
from celery.signals import celeryd_init, setup_logging
from kombu.exceptions import OperationalError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("slipway")
logger = logging.getLogger(__name__)

EXECUTE = "slipway.execute"
PLAN = "slipway.plan"
TICK = "slipway.tick"
REPORT = "slipway.report_statuses"
FREE, FREE_SECONDS = "slipway.free_staged_images", 3600.0
CONTROL, ENGINE = "control", "engine"


#: A page must not wait for a broker that is down: one more try at once, and two seconds for a silent network.
_TRANSPORT = {
    "visibility_timeout": 3600, "socket_keepalive": True, "retry_on_timeout": True, "socket_connect_timeout": 2,
    "max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1, "connect_retries_timeout": 1,
}  # fmt: skip


def configure() -> None:
    """Two queues, JSON only, early ack, no prefetch: leases, not the broker, decide who does what."""
    from django.conf import settings

    config = settings.SLIPWAY
    app.conf.update(
        broker_url=config.redis_url,
        broker_connection_retry_on_startup=True,
        broker_transport_options=_TRANSPORT,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_default_queue=CONTROL,
        task_routes={name: {"queue": CONTROL} for name in (PLAN, TICK, REPORT, FREE)},
        timezone="UTC",
        imports=("workers.tasks",),
        beat_schedule={
            name: {"task": task, "schedule": seconds, "options": {"expires": seconds * 2}}
            for name, task, seconds in (
                ("tick", TICK, config.tick_seconds),
                ("report", REPORT, config.tick_seconds),
                ("free", FREE, FREE_SECONDS),
            )
        },
    )


def warm_up() -> None:
    """Load what sending a task needs: with the first task, as Celery does it, somebody would wait 0.2 s for it."""
    app.finalize(auto=True)
    for made_when_asked_for in (app.amqp.router, app.events.Dispatcher, app.backend):
        assert made_when_asked_for
    app.connection_for_write().get_transport_cls()


#: Seconds that whoever asks waits for a hint to be sent, and how many may be under way at a broker that says nothing.
_PATIENCE, _UNDER_WAY = 0.15, threading.BoundedSemaphore(16)


def send_hint(attempt_id: UUID, queue: str) -> None:
    """Tell a worker that an attempt waits. Only a hint: expires after 60 s, the planner sends it again."""
    _hint(EXECUTE, attempt_id, queue, "attempt")


def ask_to_plan(run_id: UUID) -> None:
    """Tell a control worker that a run is new. Only a hint: the planner's next tick finds the run, too."""
    _hint(PLAN, run_id, CONTROL, "run")


def _hint(task: str, row_id: UUID, queue: str, what: str) -> None:
    """A broker that is down or silent costs one line in the log, and next to no time: a page or a code host waits for
    the answer, and work starts when the broker is back.
    """
    if not _UNDER_WAY.acquire(blocking=False):
        logger.warning("the broker does not answer; %s %s waits", what, row_id)
        return
    sending = threading.Thread(target=_send_hint, args=(task, row_id, queue, what), name="hint", daemon=True)
    sending.start()
    sending.join(_PATIENCE)


def _send_hint(task: str, row_id: UUID, queue: str, what: str) -> None:
    try:
        app.send_task(task, args=[str(row_id)], queue=queue, expires=60, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        logger.warning("the broker does not answer (%s); %s %s waits", type(error).__name__, what, row_id)
    finally:
        _UNDER_WAY.release()


def announce(owner_id: UUID, payload: dict[str, Any]) -> None:
    """Tell open pages that something about this run or release changed."""
    from django.conf import settings

    from listings import livelog

    livelog.announce(settings.SLIPWAY.redis_url, owner_id, payload)


@setup_logging.connect
def _leave_logging(**kwargs: Any) -> None:
    """Celery asks whether somebody else sets up logging: Django's LOGGING has, when the settings were read."""


@celeryd_init.connect
def _say_all_in_the_log(instance: Any, **kwargs: Any) -> None:
    """Celery prints its banner, warnings and "Warm shutdown" past the log, among lines that others parse."""
    from celery.apps import worker as worker_program

    instance.quiet = True
    logging.captureWarnings(True)
    worker_program.safe_say = _unsaid


def _unsaid(*args: Any, **kwargs: Any) -> None:
    """In place of a print from a signal handler, where nothing can be logged."""


def wire() -> None:
    from listings.services import signals

    configure()
    signals.send_hint = send_hint
    signals.ask_to_plan = ask_to_plan
    signals.announce = announce
