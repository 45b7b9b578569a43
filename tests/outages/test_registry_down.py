"""The staging registry goes away: our problem, and the step tried again succeeds once it is back."""

from __future__ import annotations

import threading

import pytest

from tests.bad_input import provokes
from tests.outages.parts import OwnRegistry, once
from tests.pipeline import GOOD, Pipeline, assert_ended, assert_succeeded, packed

pytestmark = pytest.mark.timeout(280)
BALLAST = "RUN dd if=/dev/urandom of=/ballast bs=1M count=96\n"
LARGE = GOOD | {"Dockerfile": GOOD["Dockerfile"] + BALLAST}


@pytest.fixture
def staged_there(pipeline: Pipeline, own_registry: OwnRegistry) -> Pipeline:
    host = own_registry.registry.host
    pipeline.configure(staging_registry_engine=host, staging_registry_worker=host)
    return pipeline


@provokes("BUILD-PUSH-REFUSED", "registry down")
def test_a_registry_that_goes_away_in_the_middle_of_a_push(staged_there: Pipeline, own_registry: OwnRegistry) -> None:
    run = staged_there.submit(packed(LARGE))
    staged_there.drive(run, "fetch")
    with once("some of the image is there", lambda: own_registry.bytes_held > 4 << 20, own_registry.stop):
        staged_there.drive(run, "build")
        assert_ended(run, "build", "BUILD-PUSH-REFUSED")
    own_registry.start()
    staged_there.retry(run, "build")
    assert_succeeded(run, "build")


def test_a_registry_that_restarts_in_the_middle_of_a_push_costs_nothing(
    staged_there: Pipeline, own_registry: OwnRegistry
) -> None:
    run = staged_there.submit(packed(LARGE))
    staged_there.drive(run, "fetch")
    back = threading.Timer(3.0, own_registry.start)

    def restart() -> None:
        own_registry.stop()
        back.start()

    with once("some of the image is there", lambda: own_registry.bytes_held > 4 << 20, restart):
        staged_there.drive(run, "build")
    back.join()
    assert_succeeded(run, "build")


@pytest.mark.parametrize(
    ("before", "step", "code"),
    [
        ("fetch", "build", "BUILD-PUSH-REFUSED"),
        ("build", "inspect", "IMAGE-REGISTRY"),
        ("scan", "test", "TEST-IMAGE-PULL"),
    ],
)
def test_a_registry_that_is_not_there_to_begin_with(
    before: str, step: str, code: str, staged_there: Pipeline, own_registry: OwnRegistry
) -> None:
    run = staged_there.submit(packed(GOOD))
    staged_there.drive(run, before)
    own_registry.stop()
    staged_there.drive(run, step)
    assert_ended(run, step, code)
    own_registry.start()
    staged_there.retry(run, step)
    assert_succeeded(run, step)
