"""The holder on the real engine: closed from its first moment, bounded, and gone when its worker is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from listings.problems import ProblemError
from workers.engine import Engine, attempt_labels
from workers.sandbox.holder_client import Holder
from workers.sandbox.holder_image import ensure_holder_image
from workers.sandbox.resources.profile import require_limits
from workers.steps.contract import StepStopped, Stop, StopReason

pytestmark = pytest.mark.timeout(120)

CALL_MANY = """
import socket
for number in range(20000):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("203.0.113.%d" % (number % 4 + 1), 9999))
for number in range(1000):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("203.0.113.1", 10000 + number))
"""
FLOOD = """
import socket
question = b"\\x12\\x34\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x09%09d\\x07example\\x00\\x00\\x01\\x00\\x01"
for number in range(60000):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.sendto(b"x", ("203.0.113.%d" % (number % 4), 9999))
for number in range(20000):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.sendto(question % number, ("169.254.169.253", 53))
for number in range(20000):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as channel:
        channel.connect_ex(("203.0.113.9", number % 1000 + 1))
"""
START_AND_WAIT = """
import os, sys, time
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
import django
django.setup()
from workers.engine import attempt_labels, connect
from workers.sandbox.holder_client import Holder
from workers.steps.contract import Stop
holder = Holder.start(connect(), sys.argv[1], attempt_labels(sys.argv[2], "test-host", "killed"), [], Stop())
print(holder.container.id, flush=True)
time.sleep(100)
"""


@pytest.fixture
def holder(engine: Engine, instance: str) -> Iterator[Holder]:
    image = ensure_holder_image(engine)
    started = Holder.start(engine, image, attempt_labels(instance, "test-host", "holder"), [], Stop())
    yield started
    started.close()


def test_the_image_is_named_by_its_inputs_and_built_once(engine: Engine) -> None:
    name = ensure_holder_image(engine)
    first = engine.image_id(name)
    assert ensure_holder_image(engine) == name
    assert engine.image_id(name) == first


def test_every_call_is_counted_and_memory_stays_bounded(engine: Engine, instance: str, holder: Holder) -> None:
    engine.run_to_end(
        "slipway.local/python:3.11-bookworm",
        labels=attempt_labels(instance, "test-host", "caller"),
        network_mode=holder.network_mode,
        command=["python3", "-c", CALL_MANY],
    )
    found = holder.call("attempts", Stop())
    counts = [call["count"] for call in found["attempts"]]
    assert sum(counts) + found["overflow"] + found["dropped_packets"] == 21_000
    assert max(counts) > 4000
    assert len(counts) == 500


def test_a_hundred_thousand_calls_are_counted_in_bounded_memory(engine: Engine, instance: str, holder: Holder) -> None:
    engine.run_to_end(
        "slipway.local/python:3.11-bookworm",
        labels=attempt_labels(instance, "test-host", "flood"),
        network_mode=holder.network_mode,
        command=["python3", "-c", FLOOD],
        timeout=100,
    )
    found = holder.call("attempts", Stop())
    counted = sum(call["count"] for call in found["attempts"]) + found["overflow"]
    # Exact, unless the kernel says how many packets this program did not come to see.
    assert counted <= 100_000 <= counted + found["dropped_packets"]
    assert len(found["attempts"]) == 500
    status = engine.execute(str(holder.container.id), ["cat", "/proc/1/status"]).output
    (peak,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 64 * 1024  # KiB


def test_it_holds_no_tcp_port(holder: Holder) -> None:
    assert holder.call("listening", Stop())["listening"] == []


def test_a_container_that_does_not_listen_is_an_answer_not_an_error(holder: Holder) -> None:
    assert holder.request("GET", "/ping", Stop(), timeout=1).error == "refused"


def test_a_command_that_fails_is_the_holders_problem(holder: Holder) -> None:
    with pytest.raises(ProblemError) as raised:
        holder.call("dance", Stop())
    assert raised.value.code == "TEST-HOLDER"
    assert "unknown command 'dance'" in raised.value.report.params["reason"]


def test_a_holder_that_dies_is_noticed(engine: Engine, holder: Holder) -> None:
    engine.kill_container(str(holder.container.id))
    with pytest.raises(ProblemError) as raised:
        holder.call("listening", Stop())
    assert raised.value.code == "TEST-HOLDER"


def test_waiting_for_it_ends_when_the_step_is_told_to_stop(holder: Holder) -> None:
    stop = Stop()
    stop.set(StopReason.CANCELLED)
    with pytest.raises(StepStopped):
        holder.call("listening", stop)


def test_it_ends_when_its_worker_is_killed(engine: Engine, instance: str) -> None:
    image = ensure_holder_image(engine)
    worker = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, image, instance], stdout=subprocess.PIPE, text=True
    )
    with worker:
        assert worker.stdout is not None
        container_id = worker.stdout.readline().strip()
        assert engine.client.containers.get(container_id).status == "running"
        os.kill(worker.pid, signal.SIGKILL)
    deadline = time.monotonic() + 15
    while engine.client.containers.get(container_id).status == "running" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert engine.client.containers.get(container_id).status == "exited"


def test_an_engine_that_cannot_limit_is_refused() -> None:
    with pytest.raises(ProblemError) as raised:
        require_limits({"MemoryLimit": True, "PidsLimit": False, "CpuCfsQuota": True})
    assert raised.value.code == "TEST-NO-LIMITS"
    assert raised.value.report.params["limits"] == "processes"
