"""A worker that is asked to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from celery import Celery

from listings.models import WorkerProcess
from portal.celery import CONTROL, TICK
from tests.processes import CONTROL_WORKER, Processes, processes, real_redis
from tests.services.live_fixtures import RealRedis
from tests.stack import wait_until

__all__ = ["processes", "real_redis"]
pytestmark = pytest.mark.django_db(transaction=True)


def pool_process(worker: subprocess.Popen[bytes]) -> int:
    children = subprocess.run(["pgrep", "-P", str(worker.pid)], capture_output=True, text=True, check=True)
    [child] = children.stdout.split()
    return int(child)


@pytest.mark.timeout(120)
def test_it_ends_soon_although_a_task_was_taken_at_the_last_moment(processes: Processes, real_redis: RealRedis) -> None:
    """Celery then no longer listens to the pool process, which would wait half a minute to be heard."""
    log = processes.start("worker", *CONTROL_WORKER)
    wait_until("the worker is there", WorkerProcess.objects.filter(name="control@log").exists, 60)
    [worker] = processes.started
    child = pool_process(worker)
    os.kill(child, signal.SIGSTOP)
    Celery(broker=real_redis.url).send_task(TICK, queue=CONTROL)
    wait_until("the task is received", lambda: f"Task {TICK}" in log.read_text(), 30)
    worker.send_signal(signal.SIGTERM)
    wait_until("the worker leaves", lambda: not WorkerProcess.objects.exists(), 30)
    time.sleep(2)  # it gives up the task, which says nothing
    os.kill(child, signal.SIGCONT)
    worker.wait(20)
    assert f"Task {TICK}" in log.read_text()
    assert "succeeded" in log.read_text()
