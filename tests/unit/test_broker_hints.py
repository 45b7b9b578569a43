"""Hints to workers when the broker is away."""

from __future__ import annotations

import logging
import time
import uuid
from typing import Any

import pytest

from portal import celery


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
    assert time.monotonic() - began < 2
    [record] = [record for record in caplog.records if record.name == "portal.celery"]
    assert str(attempt) in record.getMessage()
    assert record.exc_info is None
    assert "\n" not in record.getMessage()
