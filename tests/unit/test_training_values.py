"""Which bad hyperparameters are tried, what a metric's expression finds, and how a stopped training is judged."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from listings.reports import CheckOutcome
from listings.spec.models import HyperParameter
from tests.engine.context import MemoryLog
from workers.sandbox.phase import Outcome
from workers.sandbox.subject import Exit
from workers.sandbox.training import metrics, stopping, values
from workers.sandbox.training.job import Ended
from workers.sandbox.training.layout import JobInput
from workers.sandbox.training.values import bad_values


def parameter(name: str, kind: str, **more: Any) -> HyperParameter:
    return HyperParameter.model_validate({"Name": name, "Type": kind, **more})


def whole(low: str, high: str) -> dict[str, Any]:
    return {"Range": {"IntegerParameterRangeSpecification": {"MinValue": low, "MaxValue": high}}}


def real(low: str, high: str) -> dict[str, Any]:
    return {"Range": {"ContinuousParameterRangeSpecification": {"MinValue": low, "MaxValue": high}}}


def tried(*parameters: HyperParameter) -> list[tuple[str, str, str | None]]:
    return [(bad.kind, bad.name, bad.value) for bad in bad_values(list(parameters))]


def test_one_value_of_each_kind_is_tried_on_different_parameters() -> None:
    assert tried(
        parameter("depth", "Integer", **whole("1", "20")),
        parameter("rate", "Continuous", **real("0.0", "1.0")),
        parameter("label", "FreeText", IsRequired=True),
    ) == [
        ("range", "depth", "0"), ("type", "rate", "not-a-number"), ("missing", "label", None),
        ("range", "rate", "2"), ("range", "depth", "21"), ("range", "rate", "-1"),
    ]  # fmt: skip


def test_a_single_parameter_serves_for_several_kinds() -> None:
    assert tried(parameter("rate", "Continuous", IsRequired=True, **real("0.5", "1"))) == [
        ("range", "rate", "-0.5"), ("type", "rate", "not-a-number"), ("missing", "rate", None), ("range", "rate", "2"),
    ]  # fmt: skip


def test_a_category_is_tried_where_no_number_has_a_range() -> None:
    categories = {"Range": {"CategoricalParameterRangeSpecification": {"Values": ["gini", "entropy"]}}}
    assert tried(parameter("criterion", "Categorical", **categories)) == [("range", "criterion", "no-such-value")]


def test_numbers_beyond_what_a_number_can_be_are_not_tried() -> None:
    assert tried(parameter("rate", "Continuous", **real("-1e307", "1.7e308"))) == [
        ("range", "rate", "-2e+307"), ("type", "rate", "not-a-number"),
    ]  # fmt: skip


class Runs:
    """``values.run`` with each run's end made up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, end: Ended) -> None:
        self.log = MemoryLog()
        monkeypatch.setattr(values, "run_job", lambda *_: end)

    def outcomes(self, seconds: float, has_time: Callable[[float], bool] = lambda _: True) -> list[Outcome]:
        parameters = [
            parameter("depth", "Integer", **whole("1", "20")),
            parameter("rate", "Continuous", **real("0.0", "1.0")),
            parameter("label", "FreeText", IsRequired=True),
        ]
        setup = SimpleNamespace(training=SimpleNamespace(SupportedHyperParameters=parameters), job=job)
        bench: Any = SimpleNamespace(log=self.log)
        return values.run(bench, setup, seconds, has_time)  # type: ignore[arg-type]


def job() -> JobInput:
    return JobInput({"depth": "2", "rate": "0.5", "label": "y"}, {}, {})


REFUSED = Ended(Exit(1, False, 1.0), "", "it is wrong", ())
RAN_ON = Ended(None, "TEST-TRAIN-TIMEOUT", "", ())


def told(outcomes: list[Outcome], label: str) -> list[str]:
    check = next(check for check in outcomes[-1].checks if check.code == values.ACCEPTED)
    return [item.text for item in check.evidence if item.label == label]


def test_a_quick_training_tries_more_values_and_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = Runs(monkeypatch, REFUSED).outcomes(2.0)
    assert [outcome.phase for outcome in outcomes] == [
        "train-values-range", "train-values-type", "train-values-missing", "train-values-range-2",
        "train-values-range-3",
    ]  # fmt: skip
    assert told(outcomes, "tried") == ["depth=0, rate=not-a-number, label left out, rate=2, depth=21"]
    assert told(outcomes, "not tried") == ["rate=-1"]
    assert [check.outcome for check in outcomes[-1].checks] == [CheckOutcome.PASS, CheckOutcome.PASS]


def test_a_longer_training_tries_one_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = Runs(monkeypatch, REFUSED).outcomes(20.0)
    assert told(outcomes, "tried") == ["depth=0, rate=not-a-number, label left out"]
    assert told(outcomes, "not tried") == ["rate=2, depth=21, rate=-1"]


def test_values_are_tried_for_as_long_as_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    left = iter([True, False])
    outcomes = Runs(monkeypatch, REFUSED).outcomes(20.0, lambda _: next(left))
    assert told(outcomes, "tried") == ["depth=0"]
    assert Runs(monkeypatch, REFUSED).outcomes(20.0, lambda _: False) == []


@pytest.mark.parametrize(("seconds", "expected"), [(20.0, CheckOutcome.WARN), (200.0, CheckOutcome.SKIP)])
def test_a_run_that_is_cut_before_twice_its_time_is_no_acceptance(
    monkeypatch: pytest.MonkeyPatch, seconds: float, expected: CheckOutcome
) -> None:
    (check,) = Runs(monkeypatch, RAN_ON).outcomes(seconds)[-1].checks
    assert (check.code, check.outcome) == (values.ACCEPTED, expected)
    assert ("a run is given 300 s" in str(check.evidence)) is (expected is CheckOutcome.SKIP)


def test_text_without_limits_can_have_no_bad_value() -> None:
    assert tried(parameter("note", "FreeText", DefaultValue="x")) == []


def test_a_required_parameter_with_a_default_is_never_missing() -> None:
    assert tried(parameter("n", "FreeText", IsRequired=True, DefaultValue="1")) == []


def test_metrics_that_are_not_finite_are_counted_and_no_values() -> None:
    lines = ["loss=nan", "loss=0.5", "loss=inf", "loss=-inf loss=0.25"]
    found = metrics.extract([("loss", r"loss=(\S+)"), ("no group", r"loss=0.5")], lines)
    assert found["loss"] == metrics.Reading([0.5, 0.25], [(1, 0.5), (3, 0.25)], 3)
    assert found["no group"] == metrics.Reading()


def test_a_long_series_is_thinned_over_the_whole_log() -> None:
    found = metrics.extract([("n", r"n=(\d+)")], [f"n={number}" for number in range(10_000)])["n"]
    assert found.values == [float(number) for number in range(9_800, 10_000)]
    assert 100 <= len(found.points) <= 200
    assert (found.points[0], found.points[-1]) == ((0, 0.0), (9_999, 9_999.0))
    steps = {after[0] - before[0] for before, after in zip(found.points[:-2], found.points[1:-1], strict=True)}
    assert len(steps) == 1


VERDICT = {"seconds": 10.0, "output": {"lines": 10, "last_seconds": 9.9, "last": "whole"}}


@pytest.mark.parametrize(
    ("code", "took", "last", "printed", "expected"),
    [
        (143, 0.2, "half", 5, CheckOutcome.PASS),
        (1, 4.9, "half", 5, CheckOutcome.PASS),
        (0, 0.3, "half", 5, CheckOutcome.PASS),
        (143, 125.0, "half", 5, CheckOutcome.PASS),
        (0, 5.0, "whole", 5, CheckOutcome.WARN),
        (0, 0.3, "whole", 5, CheckOutcome.WARN),
        (0, 5.0, "whole", 0, CheckOutcome.SKIP),
        (0, 0.2, "whole", 10, CheckOutcome.SKIP),
        (0, 0.0, "whole", 9, CheckOutcome.SKIP),
        (0, 4.5, "half", 5, CheckOutcome.PASS),
        (137, 120.1, "half", 5, CheckOutcome.WARN),
    ],
    ids=["by the signal", "own code", "saved and ended", "seen late", "ran on", "ran on, sooner than thought",
         "before it worked", "after its last line", "never sent", "another last line", "killed"],
)  # fmt: skip
def test_how_a_stopped_training_is_judged(
    code: int, took: float, last: str, printed: int, expected: CheckOutcome
) -> None:
    found = stopping.Stopped(Exit(code, False, 5.0 + took), 5.0, took, printed, {"lines": 10, "last": last})
    outcome, reason = stopping.judge(found, VERDICT)
    assert outcome is expected
    assert bool(reason) is (expected is not CheckOutcome.PASS)


def test_without_any_output_only_the_time_tells() -> None:
    quiet = {"seconds": 10.0, "output": {"lines": 0, "last_seconds": None, "last": ""}}
    for took, expected in ((0.2, CheckOutcome.PASS), (5.0, CheckOutcome.WARN)):
        found = stopping.Stopped(Exit(0, False, 5.0 + took), 5.0, took, 0, {"lines": 0, "last": ""})
        assert stopping.judge(found, quiet)[0] is expected


class Silent:
    """A training that prints nothing and never ends; each look takes a second."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.pump = SimpleNamespace(lines=0)

    def tick(self, _: float) -> None:
        self.seconds += 1
        assert self.seconds < 1000


def test_the_signal_comes_also_to_a_training_that_prints_nothing_this_time() -> None:
    subject: Any = Silent()
    verdict = {"seconds": 10.0, "output": {"lines": 5, "first_seconds": 0.5}}
    assert stopping._until_its_middle(subject, verdict) is None
    assert subject.seconds == stopping.latest(10.0) == 50.0
