"""Memory that grows with the requests, told from memory that a server takes once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.unit.twin_fakes import Server, make_probing, reason, run
from workers.sandbox.serving import growth, load

KIB, MIB = 1 << 10, 1 << 20
CSV = {"csv": ("text/csv", b"1\n2\n")}


def judged(monkeypatch: pytest.MonkeyPatch, readings: Sequence[int | None], spent: float = 0.0) -> tuple[str, Server]:
    """``readings``: bytes before the measured load of 300 requests, after it, and after each round of 400."""
    left = list(readings)
    monkeypatch.setattr(growth, "memory", lambda _: left.pop(0))
    server = Server(lambda *_: (200, 0.01))
    probing = make_probing(monkeypatch, server, CSV)
    outcome = run(probing, growth.CODE, load.parallel_clients, spent)[growth.CODE]
    assert left == []
    return outcome, server


def test_a_leak_of_a_few_hundred_kilobytes_a_request_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    total, readings = 100 * MIB, [100 * MIB]
    for requests in (300, 400, 400, 400):
        total += requests * 200 * KIB
        readings.append(total)
    outcome, server = judged(monkeypatch, readings)
    assert outcome == "warn"
    assert len(server.timeouts) == 5


def test_memory_that_stands_still_costs_no_further_round(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, server = judged(monkeypatch, [100 * MIB, 110 * MIB])
    assert (outcome, len(server.timeouts)) == ("pass", 2)


def test_caches_that_fill_once_are_no_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = judged(monkeypatch, [100 * MIB, 400 * MIB, 450 * MIB, 451 * MIB])
    assert outcome == "pass"


def test_garbage_that_is_collected_in_between_is_no_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = judged(monkeypatch, [100 * MIB, 160 * MIB, 240 * MIB, 120 * MIB])
    assert outcome == "pass"


def test_without_a_reading_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, [100 * MIB, None])[0] == "skip"
    assert judged(monkeypatch, [100 * MIB, 400 * MIB, None])[0] == "skip"


def test_growth_that_could_not_be_followed_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    left = [100 * MIB, 400 * MIB]
    monkeypatch.setattr(growth, "memory", lambda _: left.pop(0))
    probing = make_probing(monkeypatch, server := Server(lambda *_: (200, 0.01)), CSV)
    server.load = [{}, {"seconds": 118.5}]
    assert run(probing, growth.CODE, load.parallel_clients)[growth.CODE] == "skip"
    assert reason(probing, growth.CODE).startswith("memory grew by 300 MiB, and whether it goes on is not known")


def test_few_requests_say_nothing_of_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "memory", lambda _: 100 * MIB)
    probing = make_probing(monkeypatch, server := Server(lambda *_: (200, 0.01)), CSV)
    server.load = [{}, {"requests": 99}]
    assert run(probing, growth.CODE, load.parallel_clients)[growth.CODE] == "skip"


def test_a_further_round_without_a_request_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    probing = make_probing(monkeypatch, Server(lambda *_: (200, 0.01)), CSV)
    growth._tell(probing, [growth.Round(300, 100 * MIB, 200 * MIB), growth.Round(0, 200 * MIB, 200 * MIB)])
    (check,) = probing.outcome.checks
    assert (check.outcome.value, check.params["requests"]) == ("pass", "300")
