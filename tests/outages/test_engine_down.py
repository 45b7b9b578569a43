"""The Docker Engine goes away: our problem, nothing left of it once it is back, and the step tried again succeeds."""

from __future__ import annotations

import pytest

from listings.models import Instance
from tests.bad_input import provokes
from tests.outages.parts import EngineLine, containers, once
from tests.pipeline import GOOD, Pipeline, assert_ended, assert_succeeded, packed
from tests.stack import wait_until
from workers import reaper
from workers.engine import Engine

pytestmark = pytest.mark.timeout(240)
SLOW = GOOD | {
    "Dockerfile": "FROM slipway.local/busybox:1\nCOPY train /bin/train\nRUN sleep 4\n",
    "train": "#!/bin/sh\nsleep 4\necho learned > /opt/ml/model/model.txt\n",
}
BEFORE = {"build": "fetch", "test": "scan"}


@provokes("ENGINE-UNREACHABLE", "engine down")
@pytest.mark.parametrize("step", BEFORE)
def test_an_engine_that_goes_away_in_the_middle_of_a_step(
    step: str, pipeline: Pipeline, engine: Engine, engine_line: EngineLine
) -> None:
    run = pipeline.submit(packed(SLOW))
    pipeline.drive(run, BEFORE[step])
    instance = str(Instance.current_id())
    with once(f"{step} runs something", lambda: containers(engine, instance) >= 2, engine_line.cut):
        pipeline.drive(run, step)
    assert_ended(run, step, "ENGINE-UNREACHABLE")

    engine_line.mend()
    wait_until("nothing of it is left", lambda: reaper.reap() is not None and containers(engine, instance) == 0, 30)
    pipeline.retry(run, step)
    assert_succeeded(run, step)


@pytest.mark.parametrize("step", BEFORE)
def test_an_engine_that_is_not_there_to_begin_with(step: str, pipeline: Pipeline, engine_line: EngineLine) -> None:
    run = pipeline.submit(packed(GOOD))
    pipeline.drive(run, BEFORE[step])
    engine_line.cut()
    pipeline.drive(run, step)
    assert_ended(run, step, "ENGINE-UNREACHABLE")
    engine_line.mend()
    pipeline.retry(run, step)
    assert_succeeded(run, step)
