"""The time that probes have: what it is too short for is left out, and what it cut short is not judged."""

from __future__ import annotations

import pytest

from tests.unit.twin_fakes import Server, make_probing, reason, run, run_all
from workers.sandbox.serving import load, negotiation, rough
from workers.sandbox.serving import run as serving
from workers.sandbox.serving.probing import Probe

CSV = {"csv": ("text/csv", b"1\n2\n")}
TWO = {**CSV, "json": ("application/json", b"[1, 2]")}


def slow(body: bytes, content_type: str) -> tuple[int, float]:
    """A good server whose model takes 15 seconds for whatever it can read."""
    return (200, 15.0) if (content_type, body) in TWO.values() else (400, 0.01)


def test_a_slow_server_with_many_types_is_not_failed_for_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    probing = make_probing(monkeypatch, Server(slow), TWO)
    run_all(probing, [Probe(("TEST-BAD-BODY",), rough.bad_body)], spent=105)
    assert [check.outcome.value for check in probing.outcome.checks] == ["skip"]
    assert reason(probing, "TEST-BAD-BODY") == (
        "of the budget of 120 s for probes 15 s are left, and 31 s may be needed"
    )


def test_the_request_that_decides_gets_its_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def talk(body: bytes, _: str) -> tuple[int, float]:
        return (200, 15.0) if body == b"1\n2\n" else (400, 29.0)

    probing = make_probing(monkeypatch, server := Server(talk), CSV)
    assert run(probing, "TEST-BAD-BODY", rough.bad_body, spent=86) == {"TEST-BAD-BODY": "skip"}
    assert server.timeouts[-1] == 60.0
    assert server.bodies[-1] == b"1\n2\n"


def test_a_timeout_that_the_budget_shortened_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(lambda body, _: (200, 0.1 if body else 50.0))
    probing = make_probing(monkeypatch, server, CSV)
    assert run(probing, "TEST-EMPTY-BODY", rough.empty_body, spent=80) == {"TEST-EMPTY-BODY": "skip"}
    assert reason(probing, "TEST-EMPTY-BODY") == (
        "a request had no answer after 40 s, when the budget of 120 s for probes ended"
    )


def test_a_timeout_of_a_whole_request_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    probing = make_probing(monkeypatch, Server(lambda body, _: (200, 0.1 if body else 70.0)), CSV)
    assert run(probing, "TEST-EMPTY-BODY", rough.empty_body) == {"TEST-EMPTY-BODY": "warn"}


def test_a_broken_body_that_hung_is_told_though_the_next_had_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    probing = make_probing(monkeypatch, Server(lambda body, _: (200, 0.1 if body == b"1\n2\n" else 99.0)), CSV)
    assert run(probing, "TEST-BAD-BODY", rough.bad_body, spent=30) == {"TEST-BAD-BODY": "warn"}


def test_a_server_that_hangs_after_a_broken_body_fails_also_when_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken: list[bytes] = []

    def talk(body: bytes, _: str) -> tuple[int, float]:
        broken.extend([body] if body != b"1\n2\n" else [])
        return 200, 99.0 if broken else 0.1

    probing = make_probing(monkeypatch, Server(talk), CSV)
    assert run(probing, "TEST-BAD-BODY", rough.bad_body, spent=30) == {"TEST-BAD-BODY": "fail"}


def test_what_was_judged_before_the_time_was_over_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    probing = make_probing(monkeypatch, Server(lambda *_: (200, 15.0)), TWO)
    run_all(probing, [Probe(("TEST-CHARSET",), negotiation.charset)], spent=80)
    assert [check.outcome.value for check in probing.outcome.checks] == ["pass", "skip"]


def test_a_load_for_which_there_is_too_little_time_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    probing = make_probing(monkeypatch, server := Server(lambda *_: (200, 5.0)), CSV)
    run_all(probing, [Probe(load.CODES, load.parallel_clients)], spent=95)
    assert {check.code: check.outcome.value for check in probing.outcome.checks} == dict.fromkeys(load.CODES, "skip")
    assert server.timeouts == []


def test_requests_of_a_load_have_the_time_that_sagemaker_gives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.serving.growth.memory", lambda _: 1 << 20)
    probing = make_probing(monkeypatch, server := Server(lambda *_: (200, 0.1)), CSV)
    run_all(probing, [Probe(load.CODES, load.parallel_clients)], spent=100)
    assert server.timeouts == [60.0, 60.0]
    assert {check.outcome.value for check in probing.outcome.checks} == {"pass"}


def test_a_server_that_hangs_under_load_is_told_after_the_first_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.serving.growth.memory", lambda _: 1 << 20)
    probing = make_probing(monkeypatch, server := Server(lambda *_: (200, 0.1)), CSV)
    server.load = [{"requests": 4, "ends": {"timeout": 4}, "errors": 4, "seconds": 60.0}]
    outcomes = run(probing, "TEST-LOAD", load.parallel_clients)
    assert outcomes["TEST-LOAD"] == "warn"
    assert outcomes["TEST-MEMORY-GROWTH"] == "skip"
    assert server.timeouts == [60.0]


def test_who_may_still_work_on_a_request_that_was_given_up_is_not_judged_by_its_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probing = make_probing(monkeypatch, Server(lambda body, _: (200, 0.1 if body == b"1\n2\n" else 99.0)), CSV)
    probing.start_clock()
    probing.post(b"large", "text/csv")
    serving.judge_stop(probing, 30.0, 30.0)
    assert [(check.code, check.outcome.value) for check in probing.outcome.checks] == [("TEST-SERVE-STOP", "skip")]
    assert "no answer in time" in reason(probing, "TEST-SERVE-STOP")


@pytest.mark.parametrize(("seconds", "outcome"), [(30.0, "warn"), (29.9, "pass")])
def test_a_stop_is_judged_once_a_later_request_was_answered(
    seconds: float, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    probing = make_probing(monkeypatch, Server(lambda body, _: (200, 0.1 if body == b"1\n2\n" else 99.0)), CSV)
    probing.post(b"large", "text/csv")
    probing.post(b"1\n2\n", "text/csv")
    serving.judge_stop(probing, seconds, 30.0)
    assert [check.outcome.value for check in probing.outcome.checks] == [outcome]
