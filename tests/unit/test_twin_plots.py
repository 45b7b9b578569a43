"""Drawing: scales, ticks, paths, marks and bars."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listings.templatetags.report import instruction, moment, percent
from listings.templatetags.slipway import duration
from listings.twin import drawn, plots, reading
from tests import twin_facts


@pytest.mark.parametrize(
    ("span", "most", "step"), [(10, 5, 2), (7.3, 4, 2), (1, 2, 0.5), (90, 6, 20), (0, 3, 1), (0.004, 4, 0.001)]
)
def test_a_step_is_round_and_makes_few_enough_pieces(span: float, most: int, step: float) -> None:
    assert plots.nice_step(span, most) == pytest.approx(step)


def test_memory_is_divided_into_powers_of_two() -> None:
    scale = plots.scale_from_zero(612 * 2**20, 2, binary=True)
    assert [plots.short_memory(value) for value in scale] == ["0", "512 MiB", "1 GiB"]


@given(st.floats(0, 1e15), st.integers(1, 8), st.booleans())
def test_a_scale_from_zero_encloses_its_values(highest: float, most: int, binary: bool) -> None:
    scale = plots.scale_from_zero(highest, most, binary=binary)
    assert scale[0] == 0
    assert scale[-1] >= highest * (1 - 1e-6)
    assert len(scale) <= most + 2
    assert all(later > earlier for earlier, later in itertools.pairwise(scale))


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_a_scale_around_encloses_both_and_has_a_height(one: float, other: float) -> None:
    low, high = sorted((one, other))
    scale = plots.scale_around(low, high, 3)
    room = (high - low) * 1e-6 + 1e-100  # of what cannot be seen
    assert scale[0] <= low + room
    assert scale[-1] >= high - room
    assert scale[-1] > scale[0]
    assert len(scale) <= 6


@given(st.lists(st.floats(-1e18, 1e18), min_size=1, max_size=50), st.booleans())
def test_any_numbers_can_be_drawn(values: list[float], from_zero: bool) -> None:
    along = [float(index) for index in range(len(values))]
    chart = plots.timeline("t", along, [plots.Series("a", "A", values, str)], (), 350, from_zero=from_zero)
    assert "nan" not in chart.panels[0].path
    assert "inf" not in chart.panels[0].path


def test_merging_keeps_every_peak() -> None:
    points = [(float(x), 1.0) for x in range(5000)]
    points[3333] = (3333.0, 99.0)
    kept = plots.merged(points)
    assert len(kept) <= plots.MOST_POINTS
    assert (3333.0, 99.0) in kept
    assert kept == sorted(kept)


def test_a_path_begins_with_a_move() -> None:
    assert plots.path([(1, 2), (3.5, 4)]) == "M1 2 L3.5 4"
    assert plots.path([]) == ""


def test_a_timeline_draws_each_series_within_its_panel() -> None:
    series = [plots.Series("cpu", "CPU", (0, 1, 2), plots.short_number), plots.Series("m", "M", (5, 5, 5), str)]
    chart = plots.timeline("t", (0, 5, 10), series, (), 660)
    assert [tick.label for tick in chart.time_ticks] == ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"]
    first, second = chart.panels
    assert first.bottom < second.top < second.bottom <= chart.bottom <= chart.height
    assert first.path.startswith(f"M{chart.left:g} {first.bottom:g} L")
    assert first.area.endswith("Z")


def test_marks_close_together_stand_in_rows_of_their_own() -> None:
    moments = [plots.Moment(at, "x") for at in (1.0, 1.01, 1.02, 9.0)]
    chart = plots.timeline("t", (0, 10), [plots.Series("a", "A", (1, 2), str)], moments, 660)
    assert [marker.y for marker in chart.markers] == [9, 24, 39, 9]
    assert chart.top == 4 + 3 * 15
    assert [marker.number for marker in chart.markers] == [1, 2, 3, 4]


def test_a_thousand_marks_are_bounded() -> None:
    moments = [plots.Moment(1.0, "x")] * 1000
    assert len(plots.timeline("t", (0, 2), [], moments, 350).markers) == plots.MOST_MARKERS


def test_a_flat_line_and_a_single_moment_can_be_drawn() -> None:
    flat = plots.Series("a", "A", (0.0, 0.0), plots.short_number)
    for from_zero in (True, False):
        chart = plots.timeline("t", (0.0, 0.0), [flat], (), 350, from_zero=from_zero)
        assert "nan" not in chart.panels[0].path


def test_a_histogram_places_latencies_within_their_bars() -> None:
    chart = plots.histogram([(10, 4), (20, 2), (40, 1)], [(5, "p50"), (30, "p99"), (99, "max")], 340)
    bar = chart.bars[0]
    assert bar.height > chart.bars[1].height > chart.bars[2].height > 0
    p50, p99, most = chart.markers
    assert p50.at == pytest.approx(bar.x + bar.width / 2, abs=0.2)
    assert chart.bars[2].x < p99.at < chart.bars[2].x + chart.bars[2].width
    assert most.at == chart.right
    assert [tick.label for tick in chart.names] == ["p50", "p99", "max"]


def test_names_of_latencies_that_lie_together_stand_together() -> None:
    chart = plots.histogram([(10, 4), (1000, 2)], [(3, "p50"), (3.1, "p90"), (900, "p99")], 660)
    assert [tick.label for tick in chart.names] == ["p50, p90", "p99"]


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (plots.short_seconds, 2.5, "2.5 s"), (plots.short_seconds, 90, "1:30 min"),
        (plots.short_seconds, 3900, "1:05 h"), (plots.short_ms, 0.04, "<0.1 ms"), (plots.short_ms, 1234, "1.23 s"),
        (plots.short_memory, 1.5 * 2**30, "1.5 GiB"), (plots.short_bytes, 3_100_000, "3.1 MB"),
    ],
)  # fmt: skip
def test_numbers_on_the_axes_are_short(write: object, value: float, text: str) -> None:
    assert write(value) == text  # type: ignore[operator]


def test_thinned_keeps_the_ends() -> None:
    assert plots.thinned(3, 9) == [0, 1, 2]
    rows = plots.thinned(600, 40)
    assert (rows[0], rows[-1]) == (0, 599)
    assert len(rows) <= 40


def test_a_run_is_drawn_with_its_marks_calls_and_words() -> None:
    facts = twin_facts.tested(outgoing=[twin_facts.call()])
    calls, _ = reading.calls(facts)
    plot = drawn.main_resources(reading.twin_runs(facts), calls)
    assert plot is not None
    assert plot.title == "Serving"
    assert plot.summary.startswith("Memory: at most 60")
    assert "calls huggingface.co:443" in [marker.moment.text for marker in plot.markers]
    assert [marker.moment.log_line for marker in plot.markers if marker.moment.tone == "fail"] == [12]
    assert len(plot.table) == drawn.TABLE_ROWS
    assert plot.columns == ("Seconds", "Memory", "CPU, in vCPU")


def test_a_run_without_series_is_not_drawn() -> None:
    runs = reading.twin_runs({"runs": [{"phase": "serve", "resources": {}}]})
    assert drawn.main_resources(runs, ()) is None


def test_metrics_without_times_are_drawn_by_their_number() -> None:
    training = reading.training({"training": {"metrics": {"loss": [3, 2, 1], "once": [1]}}})
    assert training is not None
    [plot] = drawn.metrics(training.metrics)
    assert plot.columns == ("Value", "loss")
    assert plot.summary == "loss: 3 at first, 1 at last, from 1 to 3 in 3 values."
    assert not any(math.isnan(point) for dot in plot.charts[0].panels[0].dots for point in dot)


def test_a_run_that_recorded_its_marks_alone_still_has_its_time_axis() -> None:
    marks = [twin_facts.mark(0.5, "ping", "first good ping"), twin_facts.mark(3, "end", "ended")]
    chart = plots.timeline("t", (), (), [plots.Moment(mark["seconds"], mark["text"]) for mark in marks], 660)
    assert [tick.label for tick in chart.time_ticks][-1] == "3 s"
    assert chart.top < chart.bottom < chart.height


def test_many_marks_of_one_moment_do_not_cover_each_other() -> None:
    moments = [plots.Moment(1.0 + index / 1000, f"request {index}") for index in range(9)]
    placed = plots.timeline("t", (0, 25), [], moments, 350).markers
    assert len({marker.y for marker in placed}) == 9


def test_marks_of_one_moment_keep_the_order_in_which_they_were_made() -> None:
    marks = [twin_facts.mark(2.0, "payload", "6 MiB"), twin_facts.mark(2.0, "signal", "SIGTERM")]
    runs = reading.twin_runs({"runs": [twin_facts.run("serve", 3.0, 1e6, marks)]})
    shown = drawn.main_resources(runs, ())
    assert shown is not None
    assert [marker.moment.text for marker in shown.markers] == ["6 MiB", "SIGTERM"]


def test_a_digest_that_the_builder_wrote_is_shortened_and_a_tiny_layer_is_not_nothing() -> None:
    line = "/bin/sh -c #(nop) COPY file:" + "ab" * 32 + " in /opt/program/"
    assert instruction(line) == "COPY file:abababababab… in /opt/program/"
    assert percent(0.000004) == "< 1 %"


def test_marks_a_fraction_of_a_second_apart_are_told_apart() -> None:
    assert (moment(0.0), moment(10.67), moment(10.85)) == ("0.0 s", "10.7 s", "10.8 s")
    assert moment(600) == duration(600)
