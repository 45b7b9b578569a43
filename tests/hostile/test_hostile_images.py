"""Hostile images pass through a real worker: each ends as it should, the host has all it had, and a good image beside
them notices nothing."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from listings import blobs
from listings.livelog import read_records
from listings.models import Attempt, Run, Team
from listings.states import RunState
from tests.crash.sources import context_with, submit
from tests.hostile import deeds, servers
from tests.stack import Stack, children_of, ours, wait_until
from workers.engine import LABEL_INSTANCE, Engine

SLACK = 50 << 20
TRAIN_SECONDS = 2
GOOD_RUNS = 5
#: What is done, the source of an image that does it, and the code that its run must end with.
DEEDS = [(f"train {mode}", deeds.source(mode), code) for mode, _, code in deeds.DEEDS]
DEEDS += [(f"serve {mode}", servers.source(mode), code) for mode, code in servers.DEEDS]
CONTAINER = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Host:
    """What the machine has left and what there is in the engine; of other installations nothing.

    ``memory``: with what Redis holds: lines of the live logs, kept for a day on purpose.
    """

    disk: int
    memory: int
    worker_processes: int
    things: frozenset[str]

    @classmethod
    def now(cls, stack: Stack, engine: Engine, worker: int) -> Host:
        memory = _free_memory() + _held_by_redis(stack)
        return cls(shutil.disk_usage(stack.data_dir).free, memory, _tree(worker), _things(engine))


def _free_memory() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) << 10


def _held_by_redis(stack: Stack) -> int:
    with redis.Redis.from_url(stack.env["REDIS_URL"]) as client:
        return int(client.info("memory")["used_memory_rss"])


def _tree(pid: int) -> int:
    return 1 + sum(_tree(child) for child in children_of(pid))


def _things(engine: Engine) -> frozenset[str]:
    """Containers, volumes and networks, those of this installation and those of nobody."""
    found = {f"{thing.kind} {thing.name}" for thing in ours(engine)}
    for kind, things in (
        ("volume", engine.api.volumes()["Volumes"] or []),
        ("network", engine.api.networks()),
        ("container", engine.api.containers(all=True)),
    ):
        nobodys = [thing for thing in things if LABEL_INSTANCE not in (thing.get("Labels") or {})]
        found |= {f"{kind} {thing.get('Name') or thing.get('Id')}" for thing in nobodys}
    return frozenset(found)


def orphans(engine: Engine) -> list[str]:
    """Processes of this machine in the group of a container that the engine does not have any more."""
    groups: dict[str, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            name = CONTAINER.search((entry / "cgroup").read_text(encoding="utf-8"))
        except OSError:
            continue  # it ended while it was looked at
        if name:
            groups[entry.name] = name.group()
    known = {container["Id"] for container in engine.api.containers(all=True)}
    return [pid for pid, container in groups.items() if container not in known]


def ended(runs: list[Run]) -> bool:
    for run in runs:
        run.refresh_from_db()
    return all(run.state != RunState.ACTIVE for run in runs)


def attempt_of(run: Run) -> Attempt:
    return Attempt.objects.filter(step__run=run, step__name="test").latest("created_at")


def log_of(attempt: Attempt) -> list[str]:
    assert attempt.log is not None
    with blobs.open_blob(attempt.log.sha256) as stored:
        return [record.text for record in read_records(stored)]


@pytest.mark.timeout(900)
def test_all_hostile_images_pass_through_a_worker_and_leave_the_host_as_it_was(
    stack: Stack, engine: Engine, seller: Any, aws_team: Team
) -> None:
    stack.control_worker()
    stack.beat()
    worker = stack.engine_worker(slots=3)
    # Each process of the pool has worked before: what it then keeps, it keeps whoever comes.
    warm = [submit(seller, aws_team, f"Warm {number}", context_with(train=TRAIN_SECONDS)) for number in range(3)]
    warm += [submit(seller, aws_team, f"Warm noise {number}", deeds.source("noise")) for number in range(3)]
    # Both base images are in the staging registry then, where what has passed is kept on purpose.
    warm += [submit(seller, aws_team, f"Warm ports {number}", servers.source("ports")) for number in range(3)]
    warm.append(submit(seller, aws_team, "Warm log", deeds.source("log")))
    wait_until("the first runs end", lambda: ended(warm), 240)
    wait_until("nothing of theirs is left", lambda: not ours(engine), 30)
    before = Host.now(stack, engine, worker.pid)

    hostile: dict[str, Run] = {}
    good: list[Run] = []
    for number, (deed, source, _) in enumerate(DEEDS):
        if number % (len(DEEDS) // GOOD_RUNS) == 0:
            good.append(submit(seller, aws_team, f"Good {number}", context_with(train=TRAIN_SECONDS)))
        hostile[deed] = submit(seller, aws_team, f"Does {deed}", source)
    wait_until("all runs end", lambda: ended([*good, *hostile.values()]), 500, every=0.5)

    wrong = {}
    for deed, _, code in DEEDS:
        attempt = attempt_of(hostile[deed])
        assert attempt.number == 1, deed
        if attempt.problem_code != code:
            wrong[deed] = (attempt.state, attempt.problem_code, attempt.problem_params)
        elif not code and hostile[deed].state != RunState.PASSED:
            wrong[deed] = (hostile[deed].state, "")
    _the_host_is_as_it_was(stack, engine, worker.pid, before)
    assert wrong == {}
    assert not Attempt.objects.filter(problem_code="PLATFORM-UNEXPECTED").exists()
    _good_runs_noticed_nothing(good)
    _logs_show_sensibly(hostile)


def _good_runs_noticed_nothing(good: list[Run]) -> None:
    for run in good:
        attempt = attempt_of(run)
        assert run.state == RunState.PASSED, (attempt.problem_code, attempt.problem_params)
        assert attempt.number == 1
        assert TRAIN_SECONDS <= attempt.facts["training"]["seconds"] < TRAIN_SECONDS + 15


def _logs_show_sensibly(hostile: dict[str, Run]) -> None:
    noise = log_of(attempt_of(hostile["train noise"]))
    assert any("20%" in line or "red" in line for line in noise)
    assert not any("\x1b[2J" in line or "\r" in line or "\0" in line for line in noise)
    flood = attempt_of(hostile["train log"])
    assert flood.log is not None
    assert flood.log_lines > 5_000
    assert any("more characters clipped" in line for line in log_of(flood))
    assert flood.log.size < 11 << 20


def _the_host_is_as_it_was(stack: Stack, engine: Engine, worker: int, before: Host) -> None:
    """After the reaper's next pass; what others on this machine take and give back meanwhile is waited out."""
    wait_until("nothing of ours is left in the engine", lambda: not ours(engine), 30)
    wait_until("no process outlives its container", lambda: not orphans(engine), 30)
    work = stack.data_dir / "work" / stack.host
    wait_until("no working folder is left", lambda: not any(work.iterdir()), 30)

    def restored() -> bool:
        now = Host.now(stack, engine, worker)
        # Shown where the test fails.
        print(f"disk {(now.disk - before.disk) >> 20:+} MiB, memory {(now.memory - before.memory) >> 20:+} MiB")
        assert now.worker_processes == before.worker_processes
        return now.things <= before.things and now.disk > before.disk - SLACK and now.memory > before.memory - SLACK

    os.sync()
    wait_until("free disk and memory are back, and nothing new is in the engine", restored, 90, every=3)
