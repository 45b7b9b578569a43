"""No false alarms: each sample that sellers copy passes every check of the isolated test."""

from __future__ import annotations

import runpy
from collections.abc import Callable

import pytest
import yaml

from tests.engine.twin_fixtures import SAMPLES, Twin

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("name", ["decision-trees", "churn-predictor"])
def test_a_sample_passes_every_check(twin: Twin, name: str, configure: Callable[..., None]) -> None:
    configure(ping_deadline_seconds=240.0)  # importing scikit-learn takes long where much else runs
    folder = SAMPLES / name
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    spec = yaml.safe_load(files["slipway.yaml"])
    artifact = None
    if "make_model.py" in files:
        script = runpy.run_path(str(folder / "make_model.py"))
        artifact = script["pack"](script["fit"](*script["customers"]()))
    ran = twin.run(name, spec, files, artifact)
    odd = [check for check in ran.report.checks if check.outcome.value in ("warn", "fail")]
    assert odd == [], ran.log.text()
    assert ran.report.problem is None
