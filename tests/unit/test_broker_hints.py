"""Hints to workers when the broker is away."""

from __future__ import annotations

import logging
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from portal import celery
from tests.stack import wait_until


def hints_under_way() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "hint"]


@pytest.fixture
def silent_broker(monkeypatch: Any) -> Iterator[None]:
    """Takes connections and says nothing, as a Redis behind a network that lost its way."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        silent = celery.Celery("silent", broker=f"redis://127.0.0.1:{server.getsockname()[1]}/0")
        silent.conf.broker_transport_options = celery.app.conf.broker_transport_options
        monkeypatch.setattr(celery, "app", silent)
        yield
    wait_until("the hints are given up", lambda: not hints_under_way(), 10)


@pytest.fixture
def dead_broker(monkeypatch: Any) -> None:
    # Port 1 of the loopback answers nobody.
    dead = celery.Celery("dead", broker="redis://127.0.0.1:1/0")
    dead.conf.broker_transport_options = celery.app.conf.broker_transport_options
    monkeypatch.setattr(celery, "app", dead)


def test_a_dead_broker_costs_one_line_and_little_time(dead_broker: None, caplog: Any) -> None:
    attempt, began = uuid.uuid4(), time.monotonic()
    with caplog.at_level(logging.WARNING, logger="portal.celery"):
        celery.send_hint(attempt, "engine")
        assert time.monotonic() - began < 1.8
        wait_until("the hint is given up", lambda: not hints_under_way(), 5)
    [record] = [record for record in caplog.records if record.name == "portal.celery"]
    assert str(attempt) in record.getMessage()
    assert record.exc_info is None
    assert "\n" not in record.getMessage()


def test_a_run_whose_planning_cannot_be_asked_for_is_named_in_the_log(dead_broker: None, caplog: Any) -> None:
    run = uuid.uuid4()
    with caplog.at_level(logging.WARNING, logger="portal.celery"):
        celery.ask_to_plan(run)
        wait_until("the hint is given up", lambda: not hints_under_way(), 5)
    assert f"run {run} waits" in caplog.text


def test_a_silent_broker_keeps_nobody_waiting(silent_broker: None, caplog: Any) -> None:
    began = time.monotonic()
    celery.send_hint(uuid.uuid4(), "engine")
    assert time.monotonic() - began < 1.8  # connecting takes 2 s to give up
    for _ in range(20):
        celery.send_hint(uuid.uuid4(), "engine")
    assert len(hints_under_way()) == 16
    assert time.monotonic() - began < 10
    assert "does not answer" in caplog.text
