"""No false alarms: each sample that sellers copy passes every check of the isolated test, and with one fault planted
in it, it is told that fault alone."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine.sample_faults import SERVING, TRAINING, Fault, cases
from tests.engine.twin_fixtures import SAMPLES, Ran, Twin

pytestmark = pytest.mark.timeout(600)
Configure = Callable[..., None]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def artifact_of(folder: Path) -> bytes | None:
    """The model archive of a sample that has one."""
    if not (folder / "make_model.py").exists():
        return None
    script = runpy.run_path(str(folder / "make_model.py"))
    return script["pack"](script["fit"](*script["customers"]()))  # type: ignore[no-any-return]


def run_sample(twin: Twin, folder: Path, *, training_only: bool = False) -> Ran:
    files = files_of(folder)
    spec: dict[str, Any] = yaml.safe_load(files["slipway.yaml"])
    if training_only:
        del spec["inference"], spec["tests"]["inference"]
    return twin.run(str(folder), spec, files, artifact_of(folder))


def told(ran: Ran) -> set[tuple[str, str]]:
    """The codes that warn or fail."""
    return {(check.code, check.outcome.value) for check in ran.report.checks if check.outcome in ("warn", "fail")}


@pytest.mark.parametrize("name", ["decision-trees", "churn-predictor"])
def test_a_sample_passes_every_check(twin: Twin, name: str, configure: Configure) -> None:
    configure(ping_deadline_seconds=240.0)  # importing scikit-learn takes long where much else runs
    ran = run_sample(twin, SAMPLES / name)
    assert told(ran) == set(), ran.log.text()
    assert ran.report.problem is None


@pytest.mark.parametrize("fault", cases(SERVING))
def test_one_fault_in_the_server_of_a_sample_is_told_alone(
    twin: Twin, fault: Fault, tmp_path: Path, configure: Configure
) -> None:
    configure(ping_deadline_seconds=20.0 if "TEST-SERVE-PING" in fault.fails else 240.0)
    ran = run_sample(twin, fault.plant(tmp_path))
    assert told(ran) == fault.told, ran.log.text()
    assert ran.code in (fault.fails or ("",))


@pytest.mark.parametrize("fault", cases(TRAINING))
def test_one_fault_in_the_training_of_a_sample_is_told_alone(twin: Twin, fault: Fault, tmp_path: Path) -> None:
    """Training only: what is served is the other sample's matter, and takes as long again."""
    ran = run_sample(twin, fault.plant(tmp_path), training_only=True)
    assert told(ran) == fault.told, ran.log.text()
    assert ran.code in (fault.fails or ("",))
