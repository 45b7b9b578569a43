"""The report: every check has a stage, the schemas stay, odd facts do no harm, comparisons find what got worse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from listings import problems
from listings.problems import image, serving, testing, training
from listings.twin import differences, phases, reading, stages
from listings.twin.compare import RULES, compare
from listings.twin.document import CheckItem, Comparison, Report, RunId, schema_of
from listings.twin.verdict import stages_of, verdict_of
from tests import twin_doc, twin_facts

#: Kept beside the tests, so that a change of what is published is seen as one.
SCHEMAS = Path(__file__).parent.parent / "schemas"


def checks_known() -> set[str]:
    """Whatever a step may hand back as a check of the container."""
    own = {problem.code for module in (image, testing, training, serving) for problem in module.PROBLEMS}
    return own | {problem.code for problem in problems.all_problems() if problem.holds}


def test_every_check_stands_for_a_stage_at_aws() -> None:
    assert sorted(checks_known() - stages.STAGE_OF.keys()) == []
    assert set(stages.STAGE_OF.values()) <= stages.BY_KEY.keys()


def test_the_page_has_the_same_differences_as_the_documentation() -> None:
    assert twin_doc.DIFFERENCES.read_text() == twin_doc.differences(), "run `make docs`"
    assert len(differences.DIFFERENCES) > 10
    assert all(row.topic and row.twin for row in differences.DIFFERENCES)


@pytest.mark.parametrize(("model", "name"), [(Report, "report-1.json"), (Comparison, "comparison-1.json")])
def test_the_published_schema_is_the_one_that_was_agreed(model: Any, name: str) -> None:
    assert schema_of(model) == json.loads((SCHEMAS / name).read_text())


def item(code: str, outcome: str, **more: Any) -> CheckItem:
    fields = {"stage": stages.stage_of(code), "owner": "seller", "step": "test", "attempt": 1, "title": code}
    return CheckItem(code=code, outcome=outcome, **(fields | more))  # type: ignore[arg-type]


def report(*checks: CheckItem, fetched: dict[str, Any] | None = None, **facts: Any) -> Report:
    test = twin_facts.tested(**facts)
    calls, more = reading.calls(test)
    run = RunId(team="acme", listing="trees", listing_name="Trees", kind="Algorithm", version="1.0.0", run=1,
                state="passed", started="2026-11-27T10:00:00+00:00", finished=None)  # fmt: skip
    return Report(
        run=run, attempts={"test": 1}, verdict=verdict_of(checks, is_active=False, is_tested=True),
        stages=stages_of(checks), checks=checks, training=reading.training(test), inference=reading.inference(test),
        outgoing=calls, outgoing_more=more, peak_memory_bytes=reading.number(test.get("peak_memory_bytes")),
        runs=reading.twin_runs(test), models=reading.models(fetched or {}, reading.training(test)),
        image=reading.image(twin_facts.INSPECT, "sha256:ab", ""),
    )  # fmt: skip


def test_the_verdict_names_the_stage_that_ends_it_first() -> None:
    verdict = verdict_of(
        [item("TEST-REQUEST", "fail"), item("TEST-TRAIN-EXIT", "fail")], is_active=False, is_tested=False
    )
    assert verdict.outcome == "fail"
    assert verdict.sentence == "AWS would refuse this version: 2 checks fail."
    assert "“Training job”" in verdict.detail


@pytest.mark.parametrize(
    ("checks", "active", "tested", "outcome", "words"),
    [
        ([item("TEST-REQUEST", "pass")], False, True, "pass", "Nothing was found that AWS would find."),
        ([item("TEST-PAYLOAD", "warn")], False, True, "warn", "one warning is worth reading"),
        ([item("TEST-REQUEST", "pass")], False, False, "unknown", "did not come to its end"),
        ([item("TEST-REQUEST", "pass")], True, False, "unknown", "The run goes on"),
        ([item("TEST-HOLDER", "fail", owner="platform")], False, False, "unknown", "a fault of ours"),
        ([item("SPEC-INVALID", "fail", step="fetch")], False, False, "fail", "does not get as far as AWS: 1 fault."),
    ],
)
def test_the_verdict_says_no_more_than_is_known(
    checks: list[CheckItem], active: bool, tested: bool, outcome: str, words: str
) -> None:
    verdict = verdict_of(checks, is_active=active, is_tested=tested)
    assert verdict.outcome == outcome
    assert words in verdict.sentence


def test_a_stage_shows_its_worst_outcome() -> None:
    found = {stage.key: stage for stage in stages_of([item("TEST-REQUEST", "pass"), item("TEST-PAYLOAD", "warn")])}
    assert found["invocations"].outcome == "warn"
    assert found["training"].outcome is None


def test_hostile_facts_are_read_within_bounds() -> None:
    facts = twin_facts.hostile()
    calls, more = reading.calls(facts)
    assert (len(calls), more) == (reading.MAX_CALLS, 300)
    assert (len(reading.twin_runs(facts)), reading.runs_more(facts)) == (reading.MAX_RUNS, 16)
    assert len(reading.runs_skipped(facts)) == reading.MAX_RUNS
    assert 0 < len(reading.hosts(facts)) <= reading.MAX_HOSTS
    assert set(reading.profiles(facts)) == {"train"}
    assert all(len(run.resources.memory) == 0 for run in reading.twin_runs(facts))
    read = reading.inference(facts)
    assert read is not None
    assert len(read.requests) == reading.MAX_REQUESTS
    assert (read.requests[0].ms, read.requests[0].bytes, read.requests[0].matched) == (None, None, None)
    assert len(read.requests[0].text) == reading.TEXT
    trained = reading.training(facts)
    assert trained is not None
    assert len(trained.model_listing) <= reading.MAX_FILES
    assert len(trained.output_listing) <= reading.MAX_FILES
    assert 0 < len(read.pipeline) <= reading.MAX_CONTAINERS
    assert reading.advice(facts).cheapest == {}
    assert reading.profile(facts) is not None


@pytest.mark.parametrize(
    "facts", [{}, {"training": None, "inference": None}, {"outgoing": None, "runs": {}, "advisor": 3}]
)
def test_old_facts_leave_things_unknown(facts: dict[str, Any]) -> None:
    assert reading.training(facts) is None
    assert reading.inference(facts) is None
    assert reading.calls(facts) == ((), 0)
    assert reading.twin_runs(facts) == ()
    assert reading.advice(facts).instances == ()
    assert (reading.hosts(facts), reading.runs_skipped(facts), reading.profiles(facts)) == ((), (), {})
    assert (reading.models({}, None), reading.runs_more(facts)) == ((), 0)
    assert reading.image({}, "", "") is None


def test_a_whole_distributed_algorithm_that_calls_out_is_shown_with_every_run() -> None:
    runs = [twin_facts.run(phase, 1.0, 1e6, []) for phase in phases.PHASES]
    runs += [twin_facts.run(phase, 1.0, 1e6, [], each) for phase in ("train", "serve") for each in ("drop", "diagnose")]
    shown = reading.twin_runs({"runs": runs})
    assert [run.phase for run in shown] == [run["phase"] for run in runs]
    assert reading.runs_more({"runs": runs}) == 0


def test_the_archive_of_a_model_package_is_read_from_the_source() -> None:
    fetched = {"artifact_sha256": "5e" * 32, "artifact_bytes": 1200, "artifact_unpacked_bytes": 3000,
               "artifact_files": 1, "artifact_listing": [["model.json", 3000]]}  # fmt: skip
    [found] = reading.models(fetched, None)
    assert (found.origin, found.bytes, found.files) == ("source", 1200, 1)
    assert found.listing[0].path == "model.json"
    parts = reading.models({"artifacts": {"one": {"bytes": 5}, "two": {"bytes": 7, "listing": [["a", 1]]}}}, None)
    assert [(part.container, part.bytes, len(part.listing)) for part in parts] == [("one", 5, 0), ("two", 7, 1)]


@pytest.mark.parametrize("fetched", [
    {"artifact_sha256": "ab", "artifact_bytes": 9_000_000},
    {"artifacts": {"one": {"bytes": 4_000_000}, "two": {"bytes": 5_000_000}}},
])  # fmt: skip
def test_the_archives_of_model_packages_are_compared(fetched: dict[str, Any]) -> None:
    before = report(training=None, fetched={"artifact_sha256": "cd", "artifact_bytes": 1_000_000})
    found = compare(before, report(training=None, fetched=fetched))
    [figure] = [figure for figure in found.figures if figure.key == "model_bytes"]
    assert (figure.before, figure.after, figure.regression) == (1_000_000, 9_000_000, True)


def test_a_run_compared_with_itself_is_the_same() -> None:
    one = report(item("TEST-REQUEST", "pass"))
    found = compare(one, one)
    assert found.sentence == "Nothing got worse."
    assert (found.checks, found.checks_same, found.calls) == ((), 1, ())
    assert {answer.change for answer in found.answers} == {"same"}
    assert not any(figure.regression for figure in found.figures)
    assert {figure.key for figure in found.figures} == {rule.key for rule in RULES}


def test_what_got_worse_is_flagged_and_what_got_better_told() -> None:
    before = report(
        item("TEST-REQUEST", "pass"), item("TEST-PAYLOAD", "warn"), outgoing=[twin_facts.call("old.example")]
    )
    inference = twin_facts.tested()["inference"] | {
        "load": twin_facts.load(2.0), "requests": [twin_facts.sent("one row", "virginica\n")],
    }  # fmt: skip
    after = report(
        item("TEST-REQUEST", "fail"), item("TEST-PAYLOAD", "pass"), inference=inference,
        outgoing=[twin_facts.call("new.example")], peak_memory_bytes=900 << 20,
    )  # fmt: skip
    found = compare(before, after)
    assert {(each.code, each.change) for each in found.checks} == {
        ("TEST-REQUEST", "newly fails"),
        ("TEST-PAYLOAD", "mended"),
    }
    worse = {figure.key for figure in found.figures if figure.regression}
    assert worse == {"p90_ms", "p99_ms", "throughput", "peak_memory_bytes"}
    assert {(call.place, call.change) for call in found.calls} == {
        ("new.example:443", "new"),
        ("old.example:443", "gone"),
    }
    answers = {answer.name: answer for answer in found.answers}
    assert answers["one row"].diff == ("@@ -1 +1 @@", "-setosa", "+virginica")
    assert answers["three rows"].change == "gone"
    assert "Serving calls new.example:443" in found.regressions
    assert any(text.startswith("TEST-PAYLOAD is mended") for text in found.improvements)


def test_a_check_that_was_not_reached_is_not_called_mended() -> None:
    found = compare(report(item("TEST-REQUEST", "fail")), report())
    assert [each.change for each in found.checks] == ["no longer known"]
    assert found.improvements == ()


def test_a_small_difference_is_no_regression() -> None:
    load = twin_facts.load() | {"p50_ms": 5.1}  # + 50 %, but less than 5 ms
    found = compare(report(), report(inference=twin_facts.tested()["inference"] | {"load": load}))
    assert not any(figure.regression for figure in found.figures)


def test_answers_without_digests_are_not_called_the_same() -> None:
    old = {"requests": [{"name": "one row", "status": 200, "ms": 3}]}
    found = compare(report(inference=old), report())
    assert [answer.change for answer in found.answers if answer.name == "one row"] == ["unknown"]
