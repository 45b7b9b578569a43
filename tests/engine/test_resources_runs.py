"""What a run uses, shown over time: memory kills told from other ends, the advisor, the image's own volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine import twin_fixtures
from tests.engine.twin_fixtures import Ran, Twin

pytestmark = pytest.mark.timeout(180)

SIZES = "workers.sandbox.resources.profile.instance_sizes"


def train(twin: Twin, mode: str, **test: Any) -> Ran:
    return twin.train("twin-wild", {"hyperparameters": {"mode": mode}, **test})


def marks(ran: Ran, kind: str) -> list[dict[str, Any]]:
    return [mark for run in ran.report.facts["runs"] for mark in run["marks"] if mark["kind"] == kind]


def test_a_run_is_shown_over_time(twin: Twin) -> None:
    ran = train(twin, "work")
    assert ran.code == "", ran.log.text()
    run = ran.report.facts["runs"][0]
    series = run["resources"]
    assert len({len(values) for values in series.values()}) == 1
    assert 3 <= len(series["seconds"]) <= 600
    assert series["seconds"] == sorted(series["seconds"])
    assert 0 < series["seconds"][0] <= series["seconds"][-1] <= run["seconds"]
    assert max(series["memory"]) > 64 << 20
    assert max(series["disk"]) >= 20 << 20
    assert max(series["processes"]) >= 6
    assert 0.2 < max(series["cpu"]) <= 2.5
    assert ran.report.facts["peak_memory_bytes"] >= max(series["memory"])


def test_files_that_were_read_do_not_count_as_memory(twin: Twin) -> None:
    ran = train(twin, "cache")
    assert ran.code == "", ran.log.text()
    assert 0 < ran.report.facts["peak_memory_bytes"] < 150 << 20


def test_a_killed_child_warns_and_is_marked_and_the_run_goes_on(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SIZES, lambda: {"ml.m5.large": (2.0, 0.125)})
    ran = train(twin, "starve-child-and-wait")
    assert ran.code == "", ran.log.text()
    assert ran.outcomes()["TEST-MEMORY"] == "warn"
    assert ran.outcomes()["TEST-INSTANCE"] == "warn"
    # The further runs meet it, too.
    found = marks(ran, "out-of-memory")
    assert all(0 < mark["seconds"] < 30 for mark in found)
    assert any(mark["log_line"] is not None for mark in found)
    assert "TEST-MEMORY" not in {code for code, outcome in train(twin, "good").outcomes().items() if outcome != "pass"}


def test_a_kill_in_the_last_moment_of_a_run_that_ends_well_is_seen(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SIZES, lambda: {"ml.m5.large": (2.0, 0.125)})
    ran = train(twin, "starve-child")
    assert ran.code == "", ran.log.text()
    assert "the child ended with -9" in ran.log.text()
    assert ran.outcomes()["TEST-MEMORY"] == "warn"


def test_a_kill_while_serving_warns(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SIZES, lambda: {"ml.m5.large": (2.0, 0.125)})
    ran = twin.serve("twin-wild", "starve")
    assert ran.code == "", ran.log.text()
    assert ran.outcomes()["TEST-MEMORY"] == "warn"
    assert twin.serve("twin-wild", "good").outcomes()["TEST-MEMORY"] == "pass"


def test_a_kill_while_serving_on_a_host_that_is_too_small_leaves_the_rest_of_the_report(twin: Twin, configure) -> None:
    configure(test_memory_mb=128)
    ran = twin.serve("twin-wild", "starve")
    assert ran.code == "", ran.log.text()
    check = ran.check("TEST-MEMORY")
    assert check.outcome.value == "skip"
    assert check.evidence[0].text.startswith("the kernel killed a process at 0.125 GiB, this host's share")
    assert ran.outcomes()["TEST-REQUEST"] == "pass"
    assert {row["fits"] for row in ran.report.facts["advisor"]} == {None}


def test_the_exit_code_of_a_kill_without_one_is_no_lack_of_memory(twin: Twin) -> None:
    ran = train(twin, "exit-137")
    assert ran.code == "TEST-TRAIN-EXIT"
    assert ran.outcomes()["TEST-MEMORY"] == "pass"
    assert marks(ran, "out-of-memory") == []


def test_the_advisor_says_where_it_fits(twin: Twin) -> None:
    facts = train(twin, "good").report.facts
    (row,) = facts["advisor"]
    assert (row["instance_type"], row["use"], row["fits"], row["measured"]) == ("ml.m5.large", "training", True, True)
    assert facts["advice"]["cheapest"]["training"] == "ml.m5.large"
    assert facts["advice"]["cheapest"]["realtime"] is None


def test_a_listed_type_that_is_too_small_warns(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ["ml.m5.large", "ml.m5.xlarge", "ml.m6g.large"]
    inference = twin_fixtures.INFERENCE | {"SupportedRealtimeInferenceInstanceTypes": listed}
    monkeypatch.setattr(twin_fixtures, "INFERENCE", inference)
    ran = twin.serve("twin-wild", "good")
    assert ran.code == "", ran.log.text()
    check = ran.check("TEST-INSTANCE")
    assert (check.outcome, check.params["types"]) == ("warn", "ml.m6g.large")
    assert "ARM" in check.evidence[0].text
    cheapest = ran.report.facts["advice"]["cheapest"]
    assert (cheapest["transform"], cheapest["realtime"]) == ("ml.m5.large", "ml.m5.large")


def test_what_is_written_to_the_images_own_volumes_counts(twin: Twin, configure: Callable[..., None]) -> None:
    configure(test_disk_mb=64)
    ran = train(twin, "volume")
    assert ran.code == "TEST-DISK", ran.log.text()
    assert "64 MiB allowed" in ran.report.problem.params["reason"]


def test_what_the_image_has_in_its_volumes_is_there_and_does_not_count(
    twin: Twin, configure: Callable[..., None]
) -> None:
    configure(test_disk_mb=3)
    ran = train(twin, "volume-good")
    assert ran.code == "", ran.log.text()
    assert "found 3000000" in ran.log.text()


def test_an_image_with_very_many_volumes_is_refused(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.resources.volumes.MAX_VOLUMES", 1)
    ran = train(twin, "good")
    assert ran.code == "TEST-VOLUMES"
    assert ran.report.problem.params["count"] == "2"
