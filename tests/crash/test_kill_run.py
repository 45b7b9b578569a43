"""``kill -9`` in the middle of each step of a run: one right end, nothing left, nothing twice, no log lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from listings.models import Attempt, Run, Team
from listings.states import NEEDS, RUN_STEPS, AttemptState, RunState, StepName
from tests.crash import matrix
from tests.crash.middle import Catcher, strike
from tests.crash.sources import context_with, submit
from tests.registry_fixtures import Registry
from tests.stack import Stack, ours, wait_until
from workers.engine import Engine


def tags(registry: Registry, repository: str) -> list[str]:
    answer = requests.get(f"http://{registry.host}/v2/{repository}/tags/list", auth=registry.auth, timeout=10)
    return list(answer.json()["tags"]) if answer.status_code == 200 else []


def images_of(run: Run, engine: Engine) -> list[str]:
    """Names in the engine that lead to what this run staged."""
    built = Attempt.objects.get(step__run=run, step__name="build", state="succeeded").facts["staging_repository"]
    names = [name for image in engine.api.images() for name in (image["RepoTags"] or []) + (image["RepoDigests"] or [])]
    return [name for name in names if str(built) in name]


def ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.state != RunState.ACTIVE


@pytest.mark.timeout(420)
@pytest.mark.parametrize("victim", matrix.RUN)
def test_a_kill_in_each_step_costs_what_the_table_says(
    victim: str,
    stack: Stack,
    engine: Engine,
    seller: Any,
    aws_team: Team,
    registry: Registry,
    neighbour: Any,
    data_dir: Path,
) -> None:
    repository = f"acme/killed-{victim}"
    before = tags(registry, repository)
    stack.control_worker()
    stack.beat()
    worker = stack.engine_worker(slots=1)
    catcher = Catcher(stack, engine)
    catcher.hold(worker)
    run = submit(seller, aws_team, f"Killed {victim}", context_with(build=3, train=1, ballast=16, files=1000))
    struck: list[Attempt] = []
    waiting = [*RUN_STEPS]
    while waiting:
        # Steps that need the same ones are hinted at together, and either may come first.
        attempt, child = catcher.stop_in([step for step in waiting if not set(NEEDS[step]) & {*waiting}], worker)
        waiting.remove(StepName(attempt.step.name))
        struck.append(attempt)
        worker = strike(victim, stack, "engine", worker, child)
    catcher.let_go(worker)
    wait_until("the run ends", lambda: ended(run))

    found = {
        step: [a.state for a in Attempt.objects.filter(step__run=run, step__name=step).order_by("number")]
        for step in RUN_STEPS
    }
    assert found == matrix.RUN[victim], stack.log("engine")[-3000:]
    assert run.state == RunState.PASSED
    assert before == []
    pushed = Attempt.objects.get(step__run=run, step__name="push", state="succeeded").facts
    assert tags(registry, repository) == [pushed["tag"]]
    _nothing_is_left(run, stack, engine, neighbour)
    _the_logs_are_kept(struck)


def _nothing_is_left(run: Run, stack: Stack, engine: Engine, neighbour: Any) -> None:
    wait_until("nothing of ours is left in the engine", lambda: not ours(engine), 30)
    wait_until("no image of ours has kept its name", lambda: not images_of(run, engine), 30)
    work = stack.data_dir / "work" / stack.host
    wait_until("no working folder is left", lambda: not any(work.iterdir()), 30)
    neighbour.reload()
    assert neighbour.status == "running"
    assert neighbour.attrs["RestartCount"] == 0


def _the_logs_are_kept(struck: list[Attempt]) -> None:
    for attempt in struck:
        wait_until(f"the log of {attempt} is kept", lambda pk=attempt.pk: Attempt.objects.get(pk=pk).log_id, 30)  # type: ignore[misc]
        attempt.refresh_from_db()
        assert attempt.log_lines > 1
        if attempt.state == AttemptState.LOST:
            assert attempt.problem_code == "PLATFORM-WORKER-LOST"
