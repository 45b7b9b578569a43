"""A worker that is asked to stop."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from celery import Celery

from listings.models import WorkerProcess
from portal.celery import CONTROL, TICK
from tests.processes import CONTROL_WORKER, Processes, processes, real_redis
from tests.services.live_fixtures import RealRedis
from tests.stack import wait_until

__all__ = ["processes", "real_redis"]
pytestmark = pytest.mark.django_db(transaction=True)


def unread(pid: int) -> int:
    """How many bytes wait in the pipes that a process has open."""
    total = 0
    for number in Path(f"/proc/{pid}/fd").iterdir():
        if not str(number.readlink()).startswith("pipe:"):
            continue
        pipe = os.open(number, os.O_RDONLY | os.O_NONBLOCK)
        total += struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]
        os.close(pipe)
    return total


def pool_process(worker: subprocess.Popen[bytes]) -> int:
    children = subprocess.run(["pgrep", "-P", str(worker.pid)], capture_output=True, text=True, check=True)
    [child] = children.stdout.split()
    return int(child)


@pytest.mark.timeout(240)
def test_it_ends_soon_although_a_task_was_taken_at_the_last_moment(processes: Processes, real_redis: RealRedis) -> None:
    """Celery then no longer listens to the pool process, which would wait half a minute to be heard."""
    log = processes.start("worker", *CONTROL_WORKER)
    wait_until("the worker is there", WorkerProcess.objects.filter(name="control@log").exists, 60)
    [worker] = processes.started
    child, celery = pool_process(worker), Celery(broker=real_redis.url)
    celery.send_task(TICK, queue=CONTROL)
    wait_until("the pool process is at work", lambda: log.read_text().count("succeeded") == 1, 60)
    os.kill(child, signal.SIGSTOP)
    before = unread(child)
    celery.send_task(TICK, queue=CONTROL)
    wait_until("it is handed to the pool process", lambda: unread(child) > before, 60)
    worker.send_signal(signal.SIGTERM)
    wait_until("the worker leaves", lambda: not WorkerProcess.objects.exists(), 30)
    time.sleep(2)  # it gives up the task, which says nothing
    os.kill(child, signal.SIGCONT)
    worker.wait(20)
    assert log.read_text().count("succeeded") == 2
