"""What the containers of a pipeline use together."""

from __future__ import annotations

import pytest

from workers.sandbox.resources.series import MAX_POINTS
from workers.sandbox.resources.together import Used, together

MIB = 1 << 20


def series(*points: tuple[float, int]) -> dict[str, list[float]]:
    """Seconds and MiB; half a CPU, two processes and a kilobyte at each."""
    return {
        "seconds": [at for at, _ in points], "memory": [size * MIB for _, size in points],
        "cpu": [0.5 for _ in points], "processes": [2 for _ in points], "disk": [1000 for _ in points],
    }  # fmt: skip


def test_the_peak_is_what_they_used_at_one_time_and_no_container_alone() -> None:
    first = Used(0.0, 300 * MIB, series((1, 300), (2, 100), (3, 100)))
    second = Used(0.5, 200 * MIB, series((0.5, 50), (1.5, 200), (2.5, 200)))
    peak, total = together([first, second])
    assert total["seconds"] == [1, 2, 3]
    assert total["memory"] == [350 * MIB, 300 * MIB, 300 * MIB]
    assert total["cpu"] == [1, 1, 1]
    assert total["processes"] == [4, 4, 4]
    assert peak == 350 * MIB


def test_a_peak_between_two_readings_counts() -> None:
    peak, _ = together([Used(0.0, 300 * MIB, series((1, 200))), Used(0.0, 100 * MIB, series((1, 100)))])
    assert peak == 400 * MIB


def test_a_container_counts_from_its_start_to_its_end() -> None:
    _, total = together([Used(0.0, 0, series((1, 10), (9, 10))), Used(4.0, 0, series((1, 5)))])
    assert dict(zip(total["seconds"], total["memory"], strict=True)) == {1: 10 * MIB, 5: 15 * MIB, 9: 10 * MIB}


def test_one_container_is_itself_and_none_is_nothing() -> None:
    alone = series((1, 10), (2, 20))
    assert together([Used(0.0, 77, alone)]) == (77, alone)
    assert together([]) == (0, {})
    assert together([Used(0.0, 5, {}), Used(1.0, 6, {})])[0] == 11


@pytest.mark.parametrize("count", [MAX_POINTS // 2, MAX_POINTS])
def test_many_points_become_no_more_than_a_plot_has_and_keep_the_highest(count: int) -> None:
    points = [(float(at), 1 + 99 * (at == 17)) for at in range(count)]
    peak, total = together([Used(0.0, 100 * MIB, series(*points)), Used(0.25, 100 * MIB, series(*points))])
    assert len(total["seconds"]) <= MAX_POINTS
    assert peak == max(total["memory"])
    assert total["seconds"] == sorted(set(total["seconds"]))
