"""The rules of resources, without an engine: series, both kinds of control group, the advisor, the holder's walk."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from listings.problems import ProblemError
from listings.reports import CheckOutcome
from listings.spec.models import VersionSpec
from tests.engine.context import MemoryLog
from tests.engine.twin_fixtures import TRAINING
from workers.sandbox.attach import STDOUT
from workers.sandbox.holder import observe
from workers.sandbox.network import Network
from workers.sandbox.phase import Outcome
from workers.sandbox.resources import advisor, instances
from workers.sandbox.resources.budget import PATIENCE, TOO_DEEP, DiskBudget
from workers.sandbox.resources.instances import OWN_FILE, instance_table
from workers.sandbox.resources.profile import GIB, Profile, instance_sizes
from workers.sandbox.resources.reading import Cgroup, from_engine
from workers.sandbox.resources.series import MAX_POINTS, Series
from workers.sandbox.subject import MAX_KEPT_BYTES, OutputPump
from workers.steps.contract import Stop

CONTAINER = "c0ffee" * 10 + "0042"


def test_a_series_stays_bounded_and_keeps_its_peaks() -> None:
    series = Series()
    for second in range(5 * MAX_POINTS):
        series.note_disk(second)
        series.add(second, 2.0 if second == 1001 else 0.1, 900 if second == 17 else 5, 3)
    told = series.as_json()
    assert set(told) == {"seconds", "cpu", "memory", "processes", "disk"}
    assert len({len(values) for values in told.values()}) == 1
    assert MAX_POINTS / 2 < len(told["seconds"]) <= MAX_POINTS
    assert told["seconds"] == sorted(told["seconds"])
    assert (max(told["cpu"]), max(told["memory"]), max(told["disk"])) == (2.0, 900, 5 * MAX_POINTS - 1)
    assert told["seconds"][-1] == 5 * MAX_POINTS - 1


def test_what_is_written_after_the_last_reading_counts_for_it() -> None:
    series = Series()
    series.add(0.5, 1, 10, 1)
    series.note_disk(77)
    assert series.as_json()["disk"] == [77]


@pytest.mark.parametrize(
    "memory",
    [
        {"usage": 100, "max_usage": 140, "stats": {"total_inactive_file": 30, "inactive_file": 1}},
        {"usage": 100, "stats": {"inactive_file": 30, "anon": 70}},
    ],
    ids=["version 1", "version 2"],
)
def test_the_engines_figures_of_either_version_are_read_without_the_cache(memory: dict[str, Any]) -> None:
    stats = {"memory_stats": memory, "cpu_stats": {"cpu_usage": {"total_usage": 3e9}}, "pids_stats": {"current": 4}}
    reading = from_engine(stats)
    assert reading is not None
    assert (reading.cpu_seconds, reading.memory, reading.cache, reading.processes) == (3.0, 70, 30, 4)
    assert reading.memory_peak == memory.get("max_usage", 0)


def test_figures_before_the_start_are_none() -> None:
    assert from_engine({"memory_stats": {}}) is None


def files_of(folder: Path, **contents: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def group(tmp_path: Path, membership: str) -> Cgroup | None:
    files_of(tmp_path / "proc" / "7", cgroup=membership)
    return Cgroup.of(7, CONTAINER, tmp_path / "sys", tmp_path / "proc")


def test_the_kernels_files_of_version_1_are_read(tmp_path: Path) -> None:
    below = f"docker/{CONTAINER}"
    files_of(
        tmp_path / "sys/memory" / below, memory__stat="cache 50\ntotal_inactive_file 40", memory__usage_in_bytes=100,
        memory__max_usage_in_bytes=120, memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2",
    )  # fmt: skip
    files_of(tmp_path / "sys/cpu,cpuacct" / below, cpuacct__usage=1_500_000_000)
    files_of(tmp_path / "sys/pids" / below, pids__current=5, pids__events="max 3")
    found = group(tmp_path, f"9:memory:/{below}\n4:cpu,cpuacct:/{below}\n3:pids:/{below}\n0::/")
    assert found is not None
    reading = found.read()
    assert reading is not None
    assert (reading.cpu_seconds, reading.memory, reading.memory_peak, reading.processes) == (1.5, 60, 120, 5)
    assert (reading.memory_kills, reading.refused_forks) == (2, 3)


@pytest.mark.parametrize("new", [True, False])
def test_the_kernels_files_of_version_2_are_read(tmp_path: Path, new: bool) -> None:
    folder = tmp_path / f"sys/system.slice/docker-{CONTAINER}.scope"
    files_of(
        folder, memory__stat="anon 60\ninactive_file 40", memory__current=100, cpu__stat="usage_usec 2500000",
        pids__current=5, memory__events="low 0\noom 1\noom_kill 1",
    )  # fmt: skip
    if new:
        files_of(folder, memory__peak=130, pids__peak=9, pids__events="max 1")
    found = group(tmp_path, f"0::/system.slice/docker-{CONTAINER}.scope")
    assert found is not None
    reading = found.read()
    assert reading is not None
    assert (reading.cpu_seconds, reading.memory, reading.processes, reading.memory_kills) == (2.5, 60, 5, 1)
    found_then = (reading.memory_peak, reading.most_processes, reading.refused_forks)
    assert found_then == ((130, 9, 1) if new else (0, 0, 0))


def test_a_process_of_another_host_with_the_same_number_is_not_read(tmp_path: Path) -> None:
    files_of(tmp_path / "sys/user.slice", memory__current=100)
    assert group(tmp_path, "0::/user.slice") is None


# -- the advisor ------------------------------------------------------------------------------------------------


def profile(instance_type: str = "ml.m5.large", gib: float = 8, clamped: tuple[str, ...] = ()) -> Profile:
    return Profile(instance_type, int(gib * GIB), 2.0, 64, 1 << 28, 5000, clamped)


def verdict(name: str, peak_gib: float = 1, **values: Any) -> advisor.Verdict:
    defaults: dict[str, Any] = {"profile": profile(), "whole": True, "out_of_memory": False}
    used = advisor.Used(peak=int(peak_gib * GIB), **(defaults | values))
    return advisor.judge(name, instance_table().types.get(name), used)


def test_a_container_that_filled_its_part_says_nothing_of_the_whole_instance() -> None:
    found = verdict("ml.m5.large", 8, out_of_memory=True, containers=2)
    assert (found.fits, found.measured) == (None, False)
    assert found.reason == "a container ran out of memory at 4 GiB, its part of 8 GiB in our run"


def test_the_type_that_was_run_is_measured() -> None:
    found = verdict("ml.m5.large")
    assert (found.fits, found.measured) == (True, True)
    assert found.reason == "run at its size, 1024 MiB at the peak"


def test_a_larger_type_fits_by_what_was_run_and_a_smaller_one_by_calculation() -> None:
    assert verdict("ml.m5.xlarge") == advisor.Verdict(True, False, "run within 8 GiB, 1024 MiB at the peak")
    smaller = verdict("ml.t3.medium")
    assert (smaller.fits, smaller.measured) == (True, False)
    assert smaller.reason.startswith("computed: a peak of 1024 MiB and a quarter more")


@pytest.mark.parametrize(
    ("peak", "fits", "words"),
    [(5, False, "more than its 4 GiB"), (3.5, None, "too close to tell"), (0, None, "too short")],
)
def test_a_smaller_type_is_judged_by_the_peak(peak: float, fits: bool | None, words: str) -> None:
    found = verdict("ml.t3.medium", peak)
    assert found.fits is fits
    assert words in found.reason


def test_a_process_killed_for_memory_that_no_check_could_judge_counts_all_the_same() -> None:
    train = Outcome("train", seconds=3, peak_memory=8 * GIB, out_of_memory=True, facts={})
    train.add(CheckOutcome.SKIP, "TEST-MEMORY")
    small = profile("ml.m5.xlarge", 8, ("8 of 16 GiB",))
    (row,) = advisor.advise(spec_of(["ml.m5.large"]), [train], {"train": small})[0]["advisor"]
    assert (row["fits"], row["reason"]) == (False, "the run ran out of memory at 8 GiB")


def test_out_of_memory_rules_out_what_has_no_more() -> None:
    assert verdict("ml.m5.large", 8, out_of_memory=True).fits is False
    assert verdict("ml.t3.medium", 8, out_of_memory=True).fits is False
    assert verdict("ml.m5.xlarge", 8, out_of_memory=True).fits is None


def test_a_run_that_broke_off_proves_no_fit() -> None:
    assert verdict("ml.m5.large", whole=False).fits is None
    assert verdict("ml.t3.medium", 5, whole=False).fits is False


def test_arm_never_fits_an_unknown_size_is_not_judged_and_a_gpu_is_named_untested() -> None:
    assert "ARM" in verdict("ml.m6g.large").reason
    assert verdict("ml.m6g.large").fits is False
    assert verdict("ml.g7.48xlarge").fits is None
    assert verdict("ml.g5.xlarge").reason.endswith("its accelerator was not tested")


def spec_of(training: list[str], realtime: list[str] = ()) -> VersionSpec:  # type: ignore[assignment]
    content: dict[str, Any] = {
        "slipway": 1, "kind": "Algorithm",
        "training": {
            "SupportedTrainingInstanceTypes": training,
            "TrainingChannels": TRAINING["TrainingChannels"],
        },
    }  # fmt: skip
    if realtime:
        content["inference"] = {
            "SupportedTransformInstanceTypes": ["ml.m5.large"], "SupportedRealtimeInferenceInstanceTypes": realtime,
            "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"],
        }  # fmt: skip
    return VersionSpec.model_validate(content)


def test_the_cheapest_that_fits_and_a_warning_for_what_is_too_small() -> None:
    train, dropped = Outcome("train", seconds=3, peak_memory=5 * GIB), Outcome("train-drop", Network.DROP, seconds=3)
    dropped.peak_memory = 7 * GIB
    spec = spec_of(["ml.m5.xlarge", "ml.m5.large", "ml.t3.medium", "ml.t3.large"], ["ml.m5.large"])
    facts, (check,) = advisor.advise(spec, [train, dropped], {"train": profile()})
    assert [(row["instance_type"], row["fits"]) for row in facts["advisor"]] == [
        ("ml.m5.xlarge", True), ("ml.m5.large", True), ("ml.t3.medium", False), ("ml.t3.large", True),
    ]  # fmt: skip
    assert facts["advice"]["cheapest"] == {"training": "ml.t3.large", "transform": None, "realtime": None}
    assert facts["advice"]["price_date"] == instance_table().as_of
    assert check.outcome is CheckOutcome.WARN
    assert (check.code, check.params["types"]) == ("TEST-INSTANCE", "ml.t3.medium")
    assert "5120 MiB" in check.evidence[0].text


def test_what_cannot_be_told_is_skipped_and_what_fits_passes() -> None:
    train = Outcome("train", seconds=3, peak_memory=GIB)
    skipped = advisor.advise(spec_of(["ml.m5.large", "ml.g7.48xlarge"]), [train], {"train": profile()})[1]
    assert [check.outcome for check in skipped] == [CheckOutcome.SKIP]
    passed = advisor.advise(spec_of(["ml.m5.large", "ml.t3.medium"]), [train], {"train": profile()})[1]
    assert [check.outcome for check in passed] == [CheckOutcome.PASS]


def test_the_table_has_the_sizes_that_the_specification_knows() -> None:
    table = instance_table()
    assert instance_sizes()["ml.m5.large"] == (2.0, 8.0)
    assert (table.types["ml.m5.large"].usd_per_hour, table.types["ml.p2.xlarge"].usd_per_hour) == (0.115, None)
    assert len(table.types) > 300


def test_an_operators_table_takes_the_place_of_ours(tmp_path: Path, configure: Callable[..., None]) -> None:
    path = tmp_path / "prices.json"
    path.write_text(
        json.dumps({"as_of": "2027-01-01", "types": {"ml.m5.large": [2, 8, 0.5], "ml.m6g.large": [2, 8, 1]}})
    )
    configure(instances_file=path)
    assert instance_table().as_of == "2027-01-01"
    assert instance_table().types["ml.m5.large"].usd_per_hour == 0.5
    assert instance_table().types["ml.m6g.large"].arm


@pytest.mark.parametrize("content", [None, "no JSON", "{}", '{"as_of": "x", "types": {"ml.m5.large": [2, 8]}}', "[]"])
def test_an_operators_table_that_cannot_be_read_is_named(
    tmp_path: Path, configure: Callable[..., None], content: str | None
) -> None:
    path = tmp_path / "prices.json"
    if content is not None:
        path.write_text(content)
    configure(instances_file=path)
    with pytest.raises(ProblemError) as raised:
        instance_table()
    assert raised.value.code == "TEST-INSTANCES-FILE"
    assert str(path) in raised.value.report.params["path"]


def test_the_own_file_says_when_and_that_prices_are_approximate() -> None:
    content = json.loads(OWN_FILE.read_text())
    assert content["as_of"][:2] == "20"
    assert "approximate" in content["source"]
    assert instances.is_arm("ml.c7g.large")
    assert not instances.is_arm("ml.g4dn.xlarge")


# -- the holder's walk, the worker's memory ---------------------------------------------------------------------


def test_a_file_of_several_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(os.urandom(1 << 20))
    single = observe.measure(str(tmp_path), 1 << 30, 1000)["bytes"]
    for number in range(20):
        os.link(tmp_path / "one", tmp_path / f"name{number}")
    found = observe.measure(str(tmp_path), 1 << 30, 1000)
    assert (found["bytes"], found["entries"]) == (single, 21)


def test_of_very_many_open_ports_the_one_that_matters_is_told(tmp_path: Path) -> None:
    rows = [f"   {n}: 00000000:{port:04X} 00000000:0000 0A" for n, port in enumerate([*range(9000, 10_000), 8080])]
    (tmp_path / "tcp").write_text("\n".join(["head", *rows]))
    found = observe.listening(str(tmp_path))
    assert len(found) == observe.MAX_LISTENING
    assert found[0] == {"address": "0.0.0.0", "port": 8080}


class Space:
    """A holder and an engine that say what they are told to."""

    def __init__(self, **volume: Any) -> None:
        self.volume = {
            "bytes": 0,
            "entries": 0,
            "too_deep": False,
            "missed": False,
            "free_bytes": 10 * GIB,
            "free_entries": 0,
        } | volume
        self.layer = 0
        self.api = self
        self.asked: list[tuple[str, int]] = []

    def call(self, do: str, stop: Stop, **arguments: Any) -> dict[str, Any]:
        self.asked.append((arguments["path"], arguments["max_entries"]))
        return self.volume

    def containers(self, **arguments: Any) -> list[dict[str, int]]:
        return [{"SizeRw": self.layer}]


def budget(space: Space) -> DiskBudget:
    found = DiskBudget(space, space, profile(), Stop(), ["/opt/ml"])  # type: ignore[arg-type]
    found.begin("container")
    return found


def test_a_disk_that_runs_full_is_the_containers_doing_only_where_that_is_known() -> None:
    """It may hold on to deleted files, which nobody can measure; or a neighbour fills the disk."""
    space = Space()
    watched = budget(space)
    assert watched.exceeded() == ""
    space.volume["free_bytes"] = 100 << 20
    with pytest.raises(ProblemError) as raised:
        watched.exceeded()
    assert raised.value.code == "TEST-HOST-DISK"
    space.volume["bytes"] = 257 << 20
    assert "257 MiB written" in watched.exceeded()


def test_what_was_there_before_the_start_is_input_and_does_not_count() -> None:
    space = Space(bytes=30 * GIB, entries=900_000)
    watched = budget(space)
    assert (watched.exceeded(), watched.used) == ("", 0)
    space.volume |= {"bytes": 30 * GIB + profile().disk_bytes + (1 << 20)}
    assert "allowed" in watched.exceeded()
    space.volume |= {"bytes": 30 * GIB, "entries": 900_001 + profile().inodes}
    assert "files and directories" in watched.exceeded()


def test_a_place_that_can_only_be_read_is_not_walked() -> None:
    space = Space(bytes=30 * GIB)
    watched = DiskBudget(space, space, profile(), Stop(), ["/opt/ml/model", "/srv/volumes/0"])  # type: ignore[arg-type]
    watched.begin("container", first_is_read_only=True)
    space.asked.clear()
    assert watched.exceeded() == ""
    assert [most == 0 for path, most in space.asked if path == "/opt/ml/model"] == [True]
    space.volume["bytes"] += profile().disk_bytes + (1 << 20)
    assert "allowed" in watched.exceeded()


def test_a_disk_that_was_full_already_stops_nobody_who_writes_little() -> None:
    assert budget(Space(free_bytes=100 << 20)).exceeded() == ""


def test_a_layer_that_cannot_be_measured_for_long_is_stopped() -> None:
    space = Space()
    watched = budget(space)
    space.layer = -1
    reasons = []
    for _ in range(PATIENCE):
        watched._next_layer = 0.0
        reasons.append(watched.exceeded())
    assert reasons == [""] * (PATIENCE - 1) + [TOO_DEEP]


class Flood:
    """An attachment that hands out empty lines."""

    def frames(self) -> Iterator[tuple[int, bytes]]:
        for _ in range(40):
            yield STDOUT, b"\n" * 10_000


def test_a_flood_of_empty_lines_costs_bounded_memory() -> None:
    ended = threading.Event()
    pump = OutputPump(Flood(), MemoryLog(), ended.set)  # type: ignore[arg-type]
    assert ended.wait(30)
    assert pump.lines == 400_000
    assert len(pump.kept()) <= MAX_KEPT_BYTES // 64
