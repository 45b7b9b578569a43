"""What a hostile build may take: processes, memory, disk. And that the worker knows when its limits are none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engine.build_fixtures import BASE, BuildBench
from tests.engine.build_fixtures import bench as bench
from workers import selftest
from workers.building import remove_build_leftovers
from workers.building.room import RoomOptions, open_room
from workers.engine import NO_ATTEMPT, attempt_labels

pytestmark = pytest.mark.django_db


def test_a_fork_bomb_is_held_and_ended(bench: BuildBench) -> None:
    bench.configure(build_pids=96)
    # Each process starts two more, again and again; those that fail to start try once more.
    bomb = "printf 'while :; do sh /bomb & sh /bomb & sleep 1; done\\n' > /bomb; sh /bomb; sleep 20; exit 1"
    before = _host_processes()
    with _highest(_host_processes) as highest:
        error, _ = bench.fail(f"FROM {BASE}\nRUN {bomb}\n")
    assert error.code == "BUILD-PROCESSES"
    assert error.report.params["limit"] == "96"
    # Others use this machine too: what counts is that hundreds of processes never came.
    assert highest[0] - before < 96 + 150
    assert bench.engine.owned(bench.instance) == []


def test_a_build_that_cannot_start_another_process_is_told_so(bench: BuildBench) -> None:
    bench.configure(build_pids=64)
    error, _ = bench.fail(f"FROM {BASE}\nRUN i=0; while [ $i -lt 200 ]; do sleep 3 & i=$((i+1)); done\n")
    assert error.code == "BUILD-PROCESSES"
    assert any("fork" in evidence.text for evidence in error.report.evidence)


def test_a_build_that_eats_memory_is_killed_and_named(bench: BuildBench) -> None:
    bench.configure(build_memory_mb=96)
    fits, _ = bench.run(f"FROM {BASE}\nRUN dd if=/dev/zero of=/dev/null bs=32M count=1\n")
    assert fits.problem is None
    error, _ = bench.fail(f"FROM {BASE}\nRUN echo before\nRUN dd if=/dev/zero of=/dev/null bs=256M count=1\n")
    assert error.code == "BUILD-MEMORY"
    assert error.report.params["step"] == "3"
    assert error.report.params["limit_mb"] == "96"


def test_memory_that_a_child_loses_is_named_even_if_the_step_ends_otherwise(bench: BuildBench) -> None:
    bench.configure(build_memory_mb=96)
    script = "dd if=/dev/zero of=/dev/null bs=256M count=1 || exit 3"
    error, _ = bench.fail(f"FROM {BASE}\nRUN {script}\n")
    assert error.code == "BUILD-MEMORY"


def test_memory_of_files_in_memory_counts(bench: BuildBench) -> None:
    bench.configure(build_memory_mb=96)
    script = "dd if=/dev/zero of=/dev/shm/x bs=1M count=60 && dd if=/dev/zero of=/dev/null bs=80M count=1"
    error, _ = bench.fail(f"FROM {BASE}\nRUN {script}\n")
    assert error.code == "BUILD-MEMORY"


def test_a_build_that_fills_the_disk_is_ended(bench: BuildBench) -> None:
    bench.configure(build_disk_mb=300, build_memory_mb=512)
    script = "i=0; while [ $i -lt 40 ]; do dd if=/dev/zero of=/f$i bs=1M count=50; i=$((i+1)); sleep 0.4; done"
    started = time.monotonic()
    error, _ = bench.fail(f"FROM {BASE}\nRUN {script}\n")
    assert error.code == "BUILD-DISK"
    assert int(error.report.params["used_mb"]) > 300
    assert time.monotonic() - started < 60
    assert bench.engine.owned(bench.instance) == []


def test_the_self_test_shows_that_limits_hold_and_keeps_the_proof(bench: BuildBench, tmp_path: Path) -> None:
    bench.configure(data_dir=tmp_path)
    report = selftest.prove_build_limits(bench.engine)
    assert report.proven, report.detail
    assert 0 < report.processes_reached <= report.processes_limit
    assert report.memory_held
    assert report.cpu_share <= report.cpu_limit * 1.5
    again = selftest.prove_build_limits(bench.engine)
    assert again == report
    fresh = selftest.prove_build_limits(bench.engine, fresh=True)
    assert fresh.at > report.at


def test_the_self_test_sees_through_a_group_that_limits_nothing(bench: BuildBench, tmp_path: Path) -> None:
    bench.configure(data_dir=tmp_path, build_cgroup_parent="/docker", build_pids=48)
    report = selftest.prove_build_limits(bench.engine)
    assert not report.proven
    assert report.processes_reached > 48
    error, _ = bench.fail(f"FROM {BASE}\nRUN echo never\n")
    assert error.code == "BUILD-LIMITS-UNPROVEN"
    assert "48" in error.report.params["detail"]


def test_leftovers_of_a_dead_worker_go_and_another_instances_stay(bench: BuildBench) -> None:
    engine, other = bench.engine, f"{bench.instance}-other"
    options = RoomOptions(BASE, 64, 0.5, 32)
    tag = f"{bench.registry.host}/staging/leftover:{bench.instance}"
    engine.api.tag(BASE, *tag.rsplit(":", 1))
    dead = open_room(engine, options, attempt_labels(bench.instance, "test-host", "dead"), tag)
    held = open_room(engine, options, attempt_labels(bench.instance, "test-host", "held"))
    foreign = open_room(engine, options, attempt_labels(other, "test-host", "dead"))
    selftest_room = open_room(engine, options, attempt_labels(bench.instance, "test-host", NO_ATTEMPT))
    strays = [
        engine.client.containers.run(BASE, ["sleep", "300"], network_mode=f"container:{room.id}", detach=True)
        for room in (dead, foreign)
    ]
    try:
        assert remove_build_leftovers(engine, bench.instance, "test-host", {"held"}) == 2
        assert {thing.id for thing in engine.owned(bench.instance)} == {held.id, selftest_room.id}
        assert {thing.id for thing in engine.owned(other)} == {foreign.id, strays[1].id}
        assert not engine.has_image(tag)
    finally:
        engine.remove(engine.owned(other))
        for stray in strays:
            engine.remove_container(str(stray.id))


def _host_processes() -> int:
    return sum(1 for entry in Path("/proc").iterdir() if entry.name.isdigit())


@contextmanager
def _highest(measure: Callable[[], int]) -> Iterator[list[int]]:
    """The highest value that ``measure`` gives while the block runs."""
    highest, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            highest[0] = max(highest[0], measure())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield highest
    finally:
        done.set()
        thread.join()
