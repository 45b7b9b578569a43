"""What several containers that run beside each other use in all: those of an inference pipeline share one instance."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.sandbox.resources.series import MAX_POINTS

VALUES = ("cpu", "memory", "processes", "disk")


@dataclass(frozen=True, slots=True)
class Used:
    """One container. ``since``: seconds from the first container's start to its own. ``peak``: bytes of memory;
    ``series``: as of ``Series.as_json``, in seconds since its own start."""

    since: float
    peak: int
    series: Mapping[str, Sequence[float]]


def together(containers: Sequence[Used]) -> tuple[int, dict[str, list[float]]]:
    """The peak of memory in bytes, and the series, of all ``containers``: the sum of what each used at one time.

    A peak may have come between two readings: so much of each container's peak as its series does not show is added,
    which errs upwards and never goes beyond the sum of the peaks.
    """
    if len(containers) < 2:
        return next(((each.peak, dict(map(_as_list, each.series.items()))) for each in containers), (0, {}))
    total = _sum(containers)
    unseen = sum(max(0, each.peak - int(max(each.series.get("memory", ()), default=0))) for each in containers)
    return int(max(total["memory"], default=0)) + unseen, total


def _as_list(item: tuple[str, Sequence[float]]) -> tuple[str, list[float]]:
    return item[0], list(item[1])


def _sum(containers: Sequence[Used]) -> dict[str, list[float]]:
    """At every time at which one of them was read, as far as there are not too many; then the highest of neighbours."""
    times = sorted(
        {round(round(each.since, 2) + at, 2) for each in containers for at in each.series.get("seconds", ())}
    )
    columns = {name: [sum(_at(each, name, when) for each in containers) for when in times] for name in VALUES}
    step = -(-len(times) // MAX_POINTS) or 1
    found = {"seconds": [times[min(start + step, len(times)) - 1] for start in range(0, len(times), step)]}
    for name, column in columns.items():
        found[name] = [round(max(column[start : start + step]), 3) for start in range(0, len(column), step)]
    return found


def _at(container: Used, name: str, when: float) -> float:
    """A point tells what was used since the point before it; before the start and after the last point: nothing."""
    seconds = container.series.get("seconds", ())
    own = round(when - round(container.since, 2), 2)
    index = bisect_left(seconds, own)
    return container.series[name][index] if own >= 0 and index < len(seconds) else 0
