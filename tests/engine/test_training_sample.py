"""The sample algorithm, which sellers copy, through every training run: not one false alarm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from tests.engine.twin_fixtures import Twin
from tests.registry_fixtures import Registry
from workers.engine import Engine

pytestmark = pytest.mark.timeout(400)

SAMPLE = Path(settings.BASE_DIR) / "samples" / "decision-trees"


@pytest.fixture
def sample(engine: Engine, registry: Registry, twin: Twin) -> Twin:
    """The step on the built sample, with the files and sizes that it has."""
    repository = "staging/decision-trees"
    reference = f"{registry.host}/{repository}"
    engine.client.images.build(path=str(SAMPLE), tag=reference, rm=True, forcerm=True)
    credentials = {"username": registry.username, "password": registry.password}
    events = engine.api.push(reference, stream=True, decode=True, auth_config=credentials)
    digest = next(event["aux"]["Digest"] for event in events if "aux" in event)
    engine.remove_image(f"{reference}:latest")
    return Twin(engine, twin.instance, lambda name: (repository, digest), twin.folder)


def files() -> dict[str, bytes]:
    return {str(path.relative_to(SAMPLE)): path.read_bytes() for path in SAMPLE.rglob("*") if path.is_file()}


def test_the_sample_algorithm_passes_every_training_run(sample: Twin, configure: Any) -> None:
    configure(ping_deadline_seconds=60.0)
    spec = yaml.safe_load((SAMPLE / "slipway.yaml").read_text())
    ran = sample.run("decision-trees", spec, files())
    assert ran.report.problem is None, ran.log.text()
    outcomes = {check.code: check.outcome.value for check in ran.report.checks if check.code.startswith(
        ("TEST-TRAIN", "TEST-METRICS", "TEST-VALUES", "TEST-MODEL-FILES", "TEST-EGRESS"))}  # fmt: skip
    # How soon it ends depends on the machine: the signal may come too late.
    assert outcomes.pop("TEST-TRAIN-STOP") in ("pass", "skip"), ran.log.text()
    assert set(outcomes.values()) == {"pass"}, ran.log.text()
    assert {"TEST-TRAIN-TUNING", "TEST-VALUES-ACCEPTED", "TEST-VALUES-REASON", "TEST-METRICS-OBJECTIVE"} <= set(
        outcomes
    )
    told = [item.text for item in ran.check("TEST-VALUES-REASON").evidence]
    assert told == [
        "max_depth=0: ValueError: max_depth must be from 1 to 20, not 0",
        "min_samples_leaf=not-a-number: ValueError: min_samples_leaf must be a whole number, not 'not-a-number'",
        "min_samples_leaf=51: ValueError: min_samples_leaf must be from 1 to 50, not 51",
        "criterion=no-such-value: ValueError: criterion must be one of gini, entropy, not 'no-such-value'",
        "max_depth=21: ValueError: max_depth must be from 1 to 20, not 21",
    ]
