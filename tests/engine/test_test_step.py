"""The test step on a container that keeps the contract: train, collect, serve, compare, stop."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from listings import blobs
from listings.problems import ProblemError
from tests.engine.twin_fixtures import INFERENCE, TRAINING, Twin

pytestmark = pytest.mark.timeout(180)

FILES = {"samples/train/a.csv": b"1\n2\n", "samples/train/b.csv": b"3\n", "samples/request.csv": b"10\n20\n",
         "samples/expected.csv": b"12.0\n22.004\n", "samples/expected.json": b'{"sums": [12, 22]}'}  # fmt: skip
REQUESTS = [
    {"name": "csv", "body": "samples/request.csv", "content_type": "text/csv", "accept": "text/csv",
     "expect": {"file": "samples/expected.csv", "tolerance": 0.01}},
    {"name": "json", "body": "samples/request.csv", "content_type": "text/csv", "accept": "application/json",
     "expect": {"file": "samples/expected.json"}},
    {"name": "refused", "body": "samples/request.csv", "content_type": "text/plain", "expect": {"status": 415}},
]  # fmt: skip
ALGORITHM = {
    "kind": "Algorithm",
    "training": TRAINING | {"MetricDefinitions": [{"Name": "loss", "Regex": r"loss=([0-9.]+)"}]},
    "inference": INFERENCE | {"Environment": {"GREETING": "hello"}},
    "tests": {
        "training": {
            "instance_type": "ml.m5.large",
            "hyperparameters": {"epochs": "3"},
            "channels": {"train": {"path": "samples/train", "content_type": "text/csv"}},
        },
        "inference": {"instance_type": "ml.m5.large", "requests": REQUESTS},
    },
}


def test_a_good_algorithm_is_trained_and_its_model_served(twin: Twin) -> None:
    ran = twin.run("twin-good", ALGORITHM, FILES)
    assert ran.report.problem is None, ran.log.text()
    # It trains in no time, so that it cannot be stopped in between.
    assert set(ran.outcomes().values()) - {"pass"} <= {"skip"}, ran.report.checks
    assert {code for code, outcome in ran.outcomes().items() if outcome == "skip"} <= {"TEST-TRAIN-STOP"}
    facts = ran.report.facts
    assert facts["training"]["exit_code"] == 0
    assert facts["training"]["metrics"] == {"loss": [1.0, 0.5, 0.333]}
    assert [(r["name"], r["status"], r["matched"]) for r in facts["inference"]["requests"]] == [
        ("csv", 200, True), ("json", 200, True), ("refused", 415, True),
    ]  # fmt: skip
    assert facts["inference"]["first_ping_seconds"] < 8
    assert facts["inference"]["exit_code"] == 0
    assert facts["outgoing"] == []
    assert facts["peak_memory_bytes"] > 1_000_000
    assert facts["profile"]["network"] == "none"
    assert "epoch=2 loss=0.333" in ran.log.text()


def test_what_was_found_before_a_problem_of_the_platform_stays_in_the_report(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_small(*_: object) -> None:
        raise ProblemError("TEST-HOST-TOO-SMALL", instance_type="ml.m5.large", limit_gib="1")

    monkeypatch.setattr("workers.steps.test.serving.run", too_small)
    ran = twin.run("twin-good", ALGORITHM, FILES)
    assert ran.code == "TEST-HOST-TOO-SMALL"
    assert ran.outcomes()["TEST-TRAIN-EXIT"] == "pass"
    assert ran.report.facts["training"]["exit_code"] == 0
    assert ran.report.facts["inference"] is None
    assert ran.report.facts["model_sha256"]


def test_the_images_health_check_is_not_run(twin: Twin) -> None:
    ran = twin.train("twin-health", {})
    assert ran.code == "", ran.log.text()


def test_the_trained_model_is_stored_as_a_gzipped_tar_with_its_files_at_the_root(twin: Twin) -> None:
    ran = twin.run("twin-good", ALGORITHM, FILES)
    with blobs.open_blob(ran.report.facts["model_sha256"]) as stored:
        data = gzip.decompress(stored.read())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert sorted(archive.getnames()) == ["model.json", "nested", "nested/note.txt"]


def test_a_staged_image_that_is_gone_is_told_as_that_and_not_as_a_registry_that_is_down(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, _ = twin.staged("twin-good")
    monkeypatch.setattr(twin, "staged", lambda _: (repository, "sha256:" + "0" * 64))
    assert twin.run("twin-good", ALGORITHM, FILES).code == "IMAGE-GONE"
