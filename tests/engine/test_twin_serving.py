"""One server with one fault each: the fault's code and no other is raised, and the good server beside it passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract_rows import detects
from tests.engine.twin_fixtures import INFERENCE, Ran, Twin
from workers.sandbox.serving.patches import PATCHES

pytestmark = pytest.mark.timeout(180)

FILES = {
    "s/in.csv": b"1.5\n2\n3\n", "s/out.csv": b"3.0\n4.0\n6.0\n",
    "s/in.json": b"[1, 2]", "s/out.json": b"[2, 4]", "s/in.bin": b"\x00\x01picture",
    "s/picture.png": b"\x89PNG\r\n\x1a\n" + bytes(range(64)),
    "s/schema.json": json.dumps({"type": "array", "items": {"type": "number", "minimum": 1}}).encode(),
}  # fmt: skip
CSV = {"name": "csv", "body": "s/in.csv", "content_type": "text/csv", "expect": {"file": "s/out.csv"}}
TO_JSON = {"name": "json", "body": "s/in.json", "content_type": "application/json", "accept": "application/json",
           "expect": {"file": "s/out.json", "json_schema": "s/schema.json"}}  # fmt: skip
PICTURE = {"name": "picture", "body": "s/in.bin", "content_type": "application/octet-stream", "accept": "image/png",
           "expect": {"file": "s/picture.png"}}  # fmt: skip
TYPES = {
    "SupportedContentTypes": ["text/csv", "application/json", "application/octet-stream"],
    "SupportedResponseMIMETypes": ["text/csv", "application/json", "image/png"],
}
#: Facts that a report reads of each request.
REQUEST = {"name", "status", "ms", "matched", "content_type", "bytes", "error", "sha256", "text", "differences"}


def serve(twin: Twin, mode: str, requests: list[dict[str, Any]] | None = None, **inference: Any) -> Ran:
    given = requests or [CSV]
    types = [sample["content_type"] for sample in given]
    spec = {
        "kind": "ModelPackage",
        "inference": INFERENCE | {"SupportedContentTypes": types} | inference,
        "tests": {"inference": {"instance_type": "ml.m5.large", "requests": given, "environment": {"MODE": mode}}},
    }
    return twin.run("twin-server", spec, FILES)


def faults(ran: Ran) -> dict[str, str]:
    """Every code that did not pass; after a failure nobody judges the instance types."""
    return {
        code: outcome
        for code, outcome in ran.outcomes().items()
        if outcome != "pass" and (code, outcome) != ("TEST-INSTANCE", "skip")
    }


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch, configure: Callable[..., None], twin: Twin) -> None:
    """A load just long enough; time to start in where much else runs."""
    configure(ping_deadline_seconds=60.0)
    monkeypatch.setattr("workers.sandbox.serving.load.SECONDS", 2.0)
    monkeypatch.setattr("workers.sandbox.serving.load.WARM_SECONDS", 1.0)
    monkeypatch.setattr("workers.sandbox.serving.growth.REQUESTS", 10)


def test_a_good_server_passes_every_probe_with_text_json_and_pictures(twin: Twin, brief: None) -> None:
    ran = serve(twin, "good", [CSV, TO_JSON, PICTURE], **TYPES)
    assert ran.report.problem is None, ran.log.text()
    assert faults(ran) == {}, ran.report.checks
    facts = ran.report.facts["inference"]
    assert [(sent["name"], sent["matched"]) for sent in facts["requests"]] == [
        ("csv", True), ("json", True), ("picture", True),
    ]  # fmt: skip
    assert all(set(sent) == REQUEST for sent in facts["requests"])
    assert [sent["text"] for sent in facts["requests"]] == ["3.0\n4.0\n6.0\n", "[2, 4]", ""]
    load = facts["load"]
    assert load["errors"] == 0
    assert load["requests"] == sum(count for _, count in load["histogram"]) > 20
    assert 0 < load["p50_ms"] <= load["p90_ms"] <= load["p99_ms"] <= load["max_ms"]
    assert facts["memory_growth"]["first_bytes"] > 1_000_000
    assert facts["execution_parameters"] is None
    kinds = [mark["kind"] for mark in ran.report.facts["runs"][0]["marks"]]
    assert list(dict.fromkeys(kinds)) == ["start", "ping", "request", "load", "payload", "signal", "end"]


def test_batch_mode_has_its_environment_and_both_strategies(twin: Twin, brief: None) -> None:
    ran = serve(twin, "parameters")
    assert faults(ran) == {}, ran.report.checks
    assert "batch 7 SINGLE_RECORD 4" in ran.log.text()
    assert [(r["kind"], r["records"], r["status"]) for r in ran.report.facts["batch"]["records"]] == [
        ("whole file", 3, 200), ("SingleRecord", 1, 200), ("MultiRecord", 100, 200),
    ]  # fmt: skip
    parameters = {"MaxConcurrentTransforms": 4, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 7}
    assert ran.report.facts["inference"]["execution_parameters"] == parameters
    large = [check.params["megabytes"] for check in ran.report.checks if check.code == "TEST-LARGE-BODY"]
    assert large == ["6", "7"]
    assert [run["phase"] for run in ran.report.facts["runs"]] == ["serve", "serve-batch"]


#: Faults that do not touch each other share a server: each must raise its own code, and nothing else may be raised.
GROUPS: tuple[dict[str, tuple[str, str]], ...] = (
    {
        "early": ("TEST-SERVE-READY", "warn"),
        "charset": ("TEST-CHARSET", "warn"),
        "headers": ("TEST-HEADERS", "warn"),
        "empty-500": ("TEST-EMPTY-BODY", "warn"),
        "flaky": ("TEST-LOAD", "warn"),
        "mount": ("TEST-PRIVILEGES", "warn"),
    },
    {
        "first-slow": ("TEST-SERVE-READY", "warn"),
        "undeclared": ("TEST-ACCEPT", "warn"),
        "bad-500": ("TEST-BAD-BODY", "warn"),
        "write": ("TEST-MODEL-WRITE", "warn"),
        "parameters-spelled": ("TEST-EXECUTION-PARAMETERS", "warn"),
        "header-line": ("TEST-BATCH-RECORDS", "warn"),
    },
    {
        "ping-slow": ("TEST-PING-SLOW", "warn"),
        "untyped": ("TEST-ACCEPT", "warn"),
        "leak": ("TEST-MEMORY-GROWTH", "warn"),
        "worker-timeout": ("TEST-WORKER-TIMEOUT", "warn"),
        "parameters-much": ("TEST-EXECUTION-PARAMETERS", "warn"),
    },
    {"nginx": ("TEST-LARGE-BODY", "fail"), "one-record": ("TEST-BATCH-RECORDS", "warn")},
    {"batch-whole": ("TEST-BATCH-RECORDS", "fail")},
    {"batch-exit": ("TEST-BATCH-START", "fail")},
)


@pytest.mark.parametrize("faults_in_it", GROUPS, ids=[",".join(group) for group in GROUPS])
@detects(9, "TEST-BATCH-START")
@detects(10, "TEST-WORKER-TIMEOUT")
@detects(14, "TEST-MODEL-WRITE")
@detects(25, "TEST-CHARSET")
@detects(25, "TEST-ACCEPT")
@detects(30, "TEST-PRIVILEGES")
def test_each_fault_raises_its_own_code_only(twin: Twin, brief: None, faults_in_it: dict[str, tuple[str, str]]) -> None:
    ran = serve(twin, ",".join(faults_in_it))
    assert faults(ran) == dict(faults_in_it.values()), ran.log.text()
    failed = [code for code, outcome in faults_in_it.values() if outcome == "fail"]
    assert ran.code == (failed[0] if failed else "")
    patched = {check.code for check in ran.report.checks if check.patch}
    assert patched == set(PATCHES) & {code for code, _ in faults_in_it.values()}


@detects(11, "TEST-LARGE-BODY")
def test_nginx_gets_its_patch(twin: Twin, brief: None) -> None:
    ran = serve(twin, "nginx", [TO_JSON], SupportedResponseMIMETypes=["application/json"])
    check = ran.check("TEST-LARGE-BODY")
    assert "client_max_body_size" in check.patch
    assert "status 413" in check.params["reason"]


def test_a_container_is_sent_no_more_than_it_says_it_takes(twin: Twin, brief: None) -> None:
    ran = serve(twin, "small-declared")
    assert faults(ran) == {}
    assert ran.check("TEST-LARGE-BODY").params["megabytes"] == "1"


@detects(8, "TEST-PING-LOAD")
def test_a_ping_that_waits_behind_requests_fails(twin: Twin, brief: None) -> None:
    ran = serve(twin, "ping-behind")
    assert ran.code == "TEST-PING-LOAD"
    assert ran.check("TEST-PING-LOAD").params["reason"].startswith("while 4 clients sent requests")


@detects(10, "TEST-REQUEST-TIME")
def test_a_request_without_an_answer_fails_and_the_probes_are_left_out(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.sandbox.serving.probing.INVOCATION_SECONDS", 3.0)
    ran = serve(twin, "slow")
    assert ran.code == "TEST-REQUEST-TIME"
    assert ran.outcomes()["TEST-LOAD"] == "skip"
    assert ran.check("TEST-LOAD").params["reason"] == "a request was not answered in time"
    assert ran.report.facts["inference"]["requests"][0]["error"] == "timeout"


def test_probes_end_with_their_time(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.serving.probing.PROBE_SECONDS", 0.5)
    ran = serve(twin, "good")
    assert ran.code == ""
    assert ran.outcomes()["TEST-LARGE-BODY"] == "skip"
    assert "TEST-LARGE-BODY skipped: the budget of 0.5 s for probes is used up" in ran.log.text()


def test_a_server_that_dies_of_a_broken_body_fails_that_and_a_write_at_the_start_explains_its_end(
    twin: Twin, brief: None
) -> None:
    ran = serve(twin, "bad-dies")
    assert ran.code == "TEST-BAD-BODY"
    assert "exit code 7" in ran.report.problem.params["reason"]
    ran = serve(twin, "write-exit")
    assert ran.code == "TEST-MODEL-WRITE"
    assert "/opt/ml/model/cache" in ran.report.problem.evidence[0].text
    assert ran.report.problem.evidence[0].log_line == ran.log.number_of("Errno 30")


def test_a_declared_type_without_a_sample_is_told_and_not_passed(twin: Twin, brief: None) -> None:
    ran = serve(twin, "good", SupportedContentTypes=["text/csv", "image/jpeg"])
    (check,) = [each for each in ran.report.checks if each.params.get("content_type") == "image/jpeg"]
    assert (check.code, check.outcome.value) == ("TEST-INPUT-TYPE", "skip")
    assert check.params["reason"] == "no sample has this type"


def test_each_difference_of_an_answer_is_shown(twin: Twin, brief: None) -> None:
    ran = serve(twin, "wrong", [CSV, {**TO_JSON, "expect": {"json_schema": "s/schema.json"}}])
    sent = ran.report.facts["inference"]["requests"]
    assert sent[0]["differences"] == ["line 3 is '7.0', '6.0' expected"]
    assert sent[1]["matched"] is True
    evidence = {item.label: item.text for item in ran.check("TEST-REQUEST").evidence}
    assert evidence["diff"].splitlines()[-2:] == ["-6.0", "+7.0"]


def test_the_probers_own_share_of_a_request_is_measured_inside_the_holder(twin: Twin) -> None:
    from workers.sandbox.serving.overhead import measure

    figures = measure(twin.engine, twin.instance)
    assert figures["errors"] == 0
    assert figures["requests"] == 1000
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
