"""Batch mode judges as a transform job goes: the whole file decides, the ways of splitting it warn."""

from __future__ import annotations

import pytest

from tests.contract_rows import detects
from tests.unit.twin_fakes import Server, Talk, make_probing, reason, run
from workers.sandbox.serving import batch, records
from workers.sandbox.serving.probing import Probing

BODY = b"age,fare\n1,2\n3,4\n"
CSV = {"csv": ("text/csv", BODY)}


def batch_run(
    monkeypatch: pytest.MonkeyPatch, talk: Talk, samples: dict[str, tuple[str, bytes]] = CSV, spent: float = 0.0
) -> tuple[str, Probing]:
    probing = make_probing(
        monkeypatch, Server(talk), samples, request_seconds=batch.REQUEST_SECONDS, budget=batch.PROBE_SECONDS
    )
    return run(probing, records.CODE, records.judge, spent)[records.CODE], probing


def kinds(probing: Probing) -> list[tuple[str, int]]:
    return [(sent["kind"], sent["records"]) for sent in probing.facts["records"]]


def test_the_whole_file_goes_first_with_its_header_and_then_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, probing = batch_run(monkeypatch, lambda *_: (200, 0.01))
    assert outcome == "pass"
    assert kinds(probing) == [
        ("whole file", 2), ("SingleRecord", 1), ("header line as a record", 1), ("MultiRecord", 100),
    ]  # fmt: skip
    bodies = probing.holder.bodies  # type: ignore[attr-defined]
    assert bodies[:3] == [BODY, b"1,2", b"age,fare"]
    assert bodies[3].startswith(b"1,2\n3,4\n1,2\n")


def test_a_server_that_needs_the_header_passes_as_on_aws_and_is_warned_of_splitting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcome, probing = batch_run(monkeypatch, lambda body, _: (200 if body == BODY else 500, 0.01))
    assert outcome == "warn"
    assert "whole file" not in reason(probing, records.CODE)


@detects(25, "TEST-BATCH-RECORDS")
def test_a_header_line_that_breaks_as_a_record_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, probing = batch_run(monkeypatch, lambda body, _: (400 if body == b"age,fare" else 200, 0.01))
    assert outcome == "warn"
    assert reason(probing, records.CODE) == "header line as a record, 1 of sample csv: status 400"


@pytest.mark.parametrize("status", [400, 500])
def test_a_whole_file_that_breaks_fails(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    # It had been answered in the run before.
    first = iter([200])
    outcome, _ = batch_run(monkeypatch, lambda body, _: (next(first, status) if body == BODY else 200, 0.01))
    assert outcome == "fail"


def test_a_second_type_warns_as_the_validating_job_does_not_send_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = iter([200])

    def talk(_: bytes, content_type: str) -> tuple[int, float]:
        return (next(first, 500) if content_type == "application/json" else 200), 0.01

    outcome, probing = batch_run(monkeypatch, talk, {**CSV, "json": ("application/json", b"[1]")})
    assert outcome == "warn"
    assert reason(probing, records.CODE) == "whole file, 1 of sample json: status 500"


def test_joined_records_may_take_as_long_as_a_transform_job_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, probing = batch_run(monkeypatch, lambda body, _: (200, 70.0 if body.count(b"\n") > 10 else 0.7))
    assert outcome == "pass"
    assert probing.facts["records"][-1]["ms"] > 60_000
    # A slow model is not asked for a hundred.
    assert kinds(probing)[-1] == ("MultiRecord", 85)


def test_a_file_without_an_answer_in_600_seconds_fails_and_nothing_more_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = iter([1.0])
    outcome, probing = batch_run(monkeypatch, lambda *_: (200, next(first, 700.0)))
    assert outcome == "fail"
    assert kinds(probing) == [("whole file", 2)]
    assert probing.holder.timeouts == [600.0]  # type: ignore[attr-defined]


def test_what_the_steps_time_cuts_short_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, probing = batch_run(
        monkeypatch, lambda body, _: (200, 300.0 if len(body) > len(BODY) else 1.0), spent=1700.0
    )
    assert outcome == "skip"
    assert "when the budget of 1800 s for probes ended" in reason(probing, records.CODE)
