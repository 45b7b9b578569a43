"""Containers that leave odd things behind, or do odd things: each passes or ends with a code of its own."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from tests.engine.twin_fixtures import Ran, Twin
from tests.registry_fixtures import Registry

pytestmark = pytest.mark.timeout(180)


def train(twin: Twin, mode: str, **test: Any) -> Ran:
    return twin.train("twin-wild", {"hyperparameters": {"mode": mode}, **test})


def test_a_sparse_file_of_a_terabyte_in_the_model_is_a_full_disk(twin: Twin) -> None:
    begun = time.monotonic()
    ran = train(twin, "sparse")
    assert ran.code == "TEST-DISK"
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("mode", ["devices", "owners", "names"])
def test_odd_files_in_the_model_are_collected_or_left_out(twin: Twin, mode: str) -> None:
    ran = train(twin, mode)
    assert ran.code == "", ran.log.text()
    files = ran.report.facts["training"]["model_files"]
    assert files == {"devices": 1, "owners": 6, "names": 10}[mode]
    left_out = [text for _, _, text in ran.log.lines if text.startswith("left out of model.tar.gz")]
    assert len(left_out) == {"devices": 3, "owners": 0, "names": 0}[mode]


@pytest.mark.parametrize("kind", ["fifo", "device", "directory", "link", "sparse", "elsewhere"])
def test_a_failure_file_that_is_none_is_read_as_little_or_nothing(twin: Twin, kind: str) -> None:
    ran = train(twin, f"failure-{kind}")
    assert ran.code == "TEST-TRAIN-EXIT"
    assert ran.report.problem.params["exit_code"] == "3"
    assert len(ran.report.facts["training"]["failure"]) <= 1024
    assert "root:" not in ran.report.facts["training"]["failure"]


@pytest.mark.parametrize("kind", ["gone", "fifo", "file", "loop"])
def test_a_model_directory_that_is_none_holds_no_model(twin: Twin, kind: str) -> None:
    assert train(twin, f"model-{kind}").code == "TEST-TRAIN-MODEL"


@pytest.mark.parametrize("mode", ["deep", "deep-layer", "files-layer"])
def test_what_cannot_be_measured_or_counted_is_stopped(twin: Twin, mode: str) -> None:
    ran = train(twin, mode, timeout_seconds=100)
    assert ran.code == "TEST-DISK", ran.log.text()


@pytest.mark.parametrize("mode", ["killer", "ports"])
def test_odd_deeds_that_hurt_nobody_pass(twin: Twin, mode: str) -> None:
    ran = train(twin, mode)
    assert ran.code == "", ran.log.text()
    assert "ports" not in mode or "ports 1000" in ran.log.text()


def test_a_server_with_a_thousand_ports_more_passes(twin: Twin) -> None:
    ran = twin.serve("twin-wild", "ports")
    assert ran.code == "", ran.log.text()
    assert ran.outcomes() == twin.serve("twin-wild", "good").outcomes()


def test_output_that_is_no_text_shows_sensibly(twin: Twin) -> None:
    ran = train(twin, "noise")
    assert ran.code == "", ran.log.text()
    texts = [text for _, stream, text in ran.log.lines if stream == "out"]
    assert any(text.startswith("not utf-8: \ufffd\ufffd\ufffd") and text.endswith(" end") for text in texts)
    assert "progress 100%" in texts
    assert not any("progress  10%" in text for text in texts)
    assert "crlf" in texts


def test_training_deaf_to_every_signal_is_stopped_at_its_time(twin: Twin) -> None:
    begun = time.monotonic()
    assert train(twin, "deaf", timeout_seconds=10).code == "TEST-TRAIN-TIMEOUT"
    assert time.monotonic() - begun < 60


UNSTARTABLE = {
    "user": "USER nobody-of-that-name",
    "volume": 'VOLUME ["/"]',
    "kernel": 'VOLUME ["/proc"]',
}


@pytest.mark.parametrize("name", UNSTARTABLE)
def test_an_image_that_is_configured_so_that_it_cannot_start(twin: Twin, registry: Registry, name: str) -> None:
    dockerfile = f"FROM slipway.local/busybox:1\nRUN ln -s /bin/true /bin/train\n{UNSTARTABLE[name]}\n"
    twin.staged = lambda image: stage_text(twin, registry, image, dockerfile)
    ran = twin.train(f"twin-odd-{name}", {})
    assert ran.code == "TEST-NO-PROGRAM", ran.report.problem
    assert ran.report.problem.evidence[0].text


def stage_text(twin: Twin, registry: Registry, name: str, dockerfile: str) -> tuple[str, str]:
    """Build and push an image of these lines: (repository, digest)."""
    repository = f"staging/{name}"
    reference = f"{registry.host}/{repository}"
    twin.engine.client.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag=reference, rm=True, forcerm=True)
    credentials = {"username": registry.username, "password": registry.password}
    events = twin.engine.api.push(reference, stream=True, decode=True, auth_config=credentials)
    digest = next(event["aux"]["Digest"] for event in events if "aux" in event)
    twin.engine.remove_image(f"{reference}:latest")
    return repository, digest
