"""Inference pipelines of two and three containers, chained as SageMaker chains them."""

from __future__ import annotations

from typing import Any

import pytest

from listings import blobs
from tests.engine.twin_fixtures import INFERENCE, Ran, Twin, tar_of

pytestmark = pytest.mark.timeout(240)

FILES = {"samples/in.csv": b"1\n2\n", "samples/two.csv": b"20\n30\n", "samples/three.csv": b"60\n90\n"}
STAGES = {2: ("first", "last"), 3: ("first", "middle", "last")}
#: What the model archive of a stage multiplies by; the first adds one and has none.
FACTORS = {"middle": b"10", "last": b"3"}


def pipeline(twin: Twin, count: int, expected: str, **environment: str) -> Ran:
    stages = STAGES[count]
    factors = FACTORS if count == 3 else {"last": b"10"}
    links: list[dict[str, Any]] = [{"ContainerHostname": name, "Environment": {"STAGE": name}} for name in stages]
    archives = {}
    for link in links:
        if link["ContainerHostname"] in factors:
            link["artifact"] = f"{link['ContainerHostname']}.tar.gz"
            stored = blobs.store(tar_of({"factor": factors[link["ContainerHostname"]]}))
            archives[link["ContainerHostname"]] = {"sha256": stored.sha256, "bytes": stored.size}
    sample = {"name": "numbers", "body": "samples/in.csv", "content_type": "text/csv", "accept": "text/csv",
              "expect": {"file": expected}}  # fmt: skip
    spec = {
        "kind": "ModelPackage",
        "inference": INFERENCE | {"Containers": links},
        "tests": {"inference": {"instance_type": "ml.m5.large", "requests": [sample], "environment": environment}},
    }
    return twin.run("twin-pipeline", spec, FILES, more={"artifacts": archives})


@pytest.mark.parametrize(("count", "expected"), [(2, "samples/two.csv"), (3, "samples/three.csv")])
def test_each_container_gets_the_answer_of_the_one_before(twin: Twin, count: int, expected: str) -> None:
    ran = pipeline(twin, count, expected)
    assert ran.report.problem is None, ran.log.text()
    assert set(ran.outcomes().values()) <= {"pass", "skip"}, ran.report.checks
    assert [told["name"] for told in ran.report.facts["inference"]["pipeline"]] != []
    assert {told["exit_code"] for told in ran.report.facts["inference"]["pipeline"]} == {0}
    text = ran.log.text()
    # What a client accepts is for the last container to answer.
    assert "first: first of 2 accept None" in text
    assert "last: last of 2 accept text/csv" in text


def test_a_pipeline_is_put_under_load_and_its_containers_use_memory_together(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.sandbox.serving.growth.REQUESTS", 10)
    monkeypatch.setattr("workers.sandbox.serving.pipeline.STOP_SECONDS", 2.0)
    ran = pipeline(twin, 2, "samples/two.csv", WHERE="last", MODE="heavy")
    outcomes = ran.outcomes()
    assert (outcomes["TEST-LOAD"], outcomes["TEST-PING-LOAD"]) == ("pass", "pass"), ran.log.text()
    assert outcomes["TEST-MEMORY-GROWTH"] == "warn"
    load = ran.report.facts["inference"]["load"]
    assert load["ends"] == {"200": load["requests"]}
    assert load["requests"] > 10
    # The second container alone keeps 60 MiB from its start and 200 KiB of each request.
    assert ran.report.facts["peak_memory_bytes"] > (60 << 20) + load["requests"] * (200 << 10)
    (run,) = ran.report.facts["runs"]
    assert max(run["resources"]["memory"]) > 60 << 20
    assert max(run["resources"]["processes"]) >= 2
    assert outcomes["TEST-SERVE-STOP"] == "warn"
    assert "ENTRYPOINT" in ran.check("TEST-SERVE-STOP").patch


def test_a_container_that_does_not_ask_for_its_port_is_named(twin: Twin) -> None:
    ran = pipeline(twin, 2, "samples/two.csv", WHERE="last", MODE="deaf")
    assert ran.code == "TEST-PIPELINE-START"
    assert ran.report.problem is not None
    assert ran.report.problem.params["name"] == "last"


def test_the_container_that_breaks_a_request_is_named(twin: Twin) -> None:
    ran = pipeline(twin, 3, "samples/three.csv", WHERE="middle", MODE="broken")
    assert ran.code == "TEST-REQUEST"
    assert "container middle: status 500" in ran.check("TEST-REQUEST").params["reason"]


def test_a_container_that_ends_ends_the_pipeline(twin: Twin) -> None:
    ran = pipeline(twin, 2, "samples/two.csv", WHERE="last", MODE="exit")
    assert ran.code == "TEST-SERVE-EXITED"
    assert ran.report.problem is not None
    assert ran.report.problem.params["exit_code"] == "6"


def test_the_container_that_runs_out_of_memory_late_is_told_alone(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.resources.profile.instance_sizes", lambda: {"ml.m5.large": (2.0, 0.25)})
    ran = pipeline(twin, 2, "samples/two.csv", WHERE="last", MODE="starve-child")
    assert ran.report.problem is None, ran.log.text()
    told = [check.outcome for check in ran.report.checks if check.code == "TEST-MEMORY"]
    assert sorted(told) == ["pass", "warn"]
    # Its part of the memory is ours to say: whether the whole instance has enough is not known.
    rows = ran.report.facts["advisor"]
    assert {row["fits"] for row in rows} == {None}
    assert all("its part of 0.25 GiB" in row["reason"] for row in rows)


def test_a_call_of_the_first_container_is_kept_while_the_others_start(twin: Twin) -> None:
    ran = pipeline(twin, 3, "samples/three.csv", WHERE="first", MODE="calls")
    assert ran.report.problem is None, ran.log.text()
    assert ran.outcomes()["TEST-EGRESS"] == "warn"
    assert [(call["address"], call["port"]) for call in ran.report.facts["outgoing"][:1]] == [("93.184.215.14", 443)]


def test_what_a_later_container_writes_to_the_images_volumes_counts(twin: Twin) -> None:
    ran = pipeline(twin, 2, "samples/two.csv", WHERE="last", MODE="fills")
    assert ran.code == "TEST-DISK"
