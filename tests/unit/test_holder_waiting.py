"""Waiting for the holder's answer, with somebody who looks at the container meanwhile."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import pytest

from listings.problems import ProblemError
from workers.sandbox import holder_client
from workers.sandbox.holder_client import Holder
from workers.steps.contract import Stop


@pytest.fixture
def holder(monkeypatch: pytest.MonkeyPatch) -> Holder:
    monkeypatch.setattr(holder_client, "LOOK_SECONDS", 0.01)
    made = Holder.__new__(Holder)
    made._gone, made._errors = threading.Event(), []  # type: ignore[assignment]
    return made


def test_an_answer_that_comes_while_somebody_looks_on_is_taken(holder: Holder) -> None:
    replies: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def look() -> None:
        time.sleep(0.2)
        replies.put({"ok": True})

    assert holder._wait(replies, 0.05, Stop(), [look]) == {"ok": True}


def test_what_a_watcher_raises_ends_the_waiting(holder: Holder) -> None:
    def look() -> None:
        raise ProblemError("TEST-DISK", reason="full")

    with pytest.raises(ProblemError, match="TEST-DISK"):
        holder._wait(queue.SimpleQueue(), 5, Stop(), [look])


def test_no_answer_in_time_is_the_holders_fault(holder: Holder) -> None:
    with pytest.raises(ProblemError, match="TEST-HOLDER"):
        holder._wait(queue.SimpleQueue(), 0.03, Stop())
