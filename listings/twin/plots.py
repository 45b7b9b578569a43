"""Drawing: from numbers to the coordinates of an SVG. Pure; templates only write them down.

Every chart is drawn twice, wide and narrow, and the style sheet shows the one that fits: text keeps its size on a
phone. Colours are classes, for no style may stand in the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
WIDE, NARROW = 660, 350
#: More points than this in one line are merged, two for each piece of the width: its lowest and its highest.
MOST_POINTS = 240
MOST_MARKERS = 14
_TINY = 1e-200  # what is smaller is drawn as nothing
_BADGE = 15  # how far apart two numbered markers must be to stand in one row


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Moment:
    """Something to be marked on the time axis. ``tone`` is pass, warn, fail or plain."""

    seconds: float
    text: str
    tone: str = "plain"
    log_line: int | None = None


@dataclass(frozen=True, slots=True)
class Marker:
    x: float
    y: float
    number: int
    moment: Moment


@dataclass(frozen=True, slots=True)
class Panel:
    """One series over its own scale. ``dots`` where single values are worth seeing."""

    key: str
    label: str
    top: float
    bottom: float
    path: str
    area: str
    ticks: tuple[Tick, ...]
    dots: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    key: str
    width: int
    height: float
    left: float
    right: float
    top: float
    bottom: float
    panels: tuple[Panel, ...]
    time_ticks: tuple[Tick, ...]
    markers: tuple[Marker, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class BarChart:
    width: int
    height: float
    left: float
    right: float
    bottom: float
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    labels: tuple[Tick, ...]
    markers: tuple[Tick, ...]
    names: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Values at the times of the axis, and how one of them is written. ``binary`` counts in powers of two."""

    key: str
    label: str
    values: Sequence[float]
    write: Callable[[float], str]
    binary: bool = False


def nice_step(span: float, most: int, *, binary: bool = False) -> float:
    """The smallest round step that divides ``span`` into at most ``most`` pieces."""
    if span <= _TINY or most < 1:
        return 1.0
    rough = span / most
    if binary:
        return 2.0 ** math.ceil(math.log2(rough))
    power = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9)), 10 * power)


def scale_from_zero(highest: float, most: int, *, binary: bool = False) -> list[float]:
    """Round values from 0 up to the first at or above ``highest``."""
    step = nice_step(highest, most, binary=binary)
    count = max(1, math.ceil(highest / step - 1e-9))
    return [index * step for index in range(count + 1)]


def scale_around(lowest: float, highest: float, most: int) -> list[float]:
    """Round values that enclose both; a flat line gets room on both sides."""
    if highest - lowest <= max(abs(lowest), abs(highest)) * 1e-9:
        room = abs(highest) * 0.1 or 1.0
        lowest, highest = lowest - room, highest + room
    step = nice_step(highest - lowest, most)
    first, last = math.floor(lowest / step + 1e-9), math.ceil(highest / step - 1e-9)
    return [index * step for index in range(first, max(first + 1, last) + 1)]


def merged(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most ``most`` of the points, keeping each piece's lowest and highest, so that no peak is lost."""
    if len(points) <= most:
        return list(points)
    piece = math.ceil(len(points) / (most // 2))
    kept: list[Point] = []
    for start in range(0, len(points), piece):
        part = points[start : start + piece]
        low, high = min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])
        kept += [low] if low == high else sorted((low, high))
    return kept


def path(points: Iterable[Point]) -> str:
    return " ".join(f"{'M' if index == 0 else 'L'}{x:g} {y:g}" for index, (x, y) in enumerate(points))


def timeline(
    key: str, along: Sequence[float], series: Sequence[Series], moments: Sequence[Moment], width: int, *,
    panel_height: float = 70, from_zero: bool = True, write: Callable[[float], str] | None = None,
) -> Chart:  # fmt: skip
    """One panel for each series above a shared axis, with the moments as numbered lines through all of them.

    ``along`` are the axis's values, seconds unless ``write`` says otherwise; ``from_zero`` is about the panels' scales.
    """
    left, right = 58.0, width - 10.0
    end = max([*along, *(moment.seconds for moment in moments)], default=0) or 1.0
    across = _scaled(0, end, left, right)
    markers = _markers(moments, across)
    top = 4.0 + _BADGE * len({marker.y for marker in markers})
    panels, at = [], top
    for each in series:
        panels.append(_panel(each, along, across, at, at + panel_height, from_zero=from_zero))
        at += panel_height + 8
    at += 0 if series else 18
    ticks = _ticks_along(scale_from_zero(end, max(2, width // 110)), end, across, write or short_seconds)
    return Chart(key, width, at + 14, left, right, top, at - 8, tuple(panels), ticks, tuple(markers))


def _scaled(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Maps values from ``low`` to ``high`` onto ``start`` to ``end``; what lies beyond, to the edge."""
    return lambda value: round(start + (end - start) * min(1.0, max(0.0, (value - low) / (high - low))), 1)


def _panel(
    series: Series, along: Sequence[float], across: Callable[[float], float], top: float, bottom: float, *,
    from_zero: bool,
) -> Panel:  # fmt: skip
    head = top + 18  # the panel's name stands above its lines
    if from_zero:
        scale = scale_from_zero(max([*series.values, 0]), 3, binary=series.binary)
    else:
        scale = scale_around(min(series.values, default=0), max(series.values, default=0), 3)
    low, high = scale[0], scale[-1]
    down = _scaled(low, high, bottom, head)
    points = merged([(across(at), down(value)) for at, value in zip(along, series.values, strict=False)])
    line = path(points)
    area = f"{line} L{points[-1][0]:g} {bottom:g} L{points[0][0]:g} {bottom:g} Z" if points and from_zero else ""
    ticks = tuple(Tick(down(value), series.write(value), "end") for value in scale)
    dots = tuple(points) if not from_zero and len(points) <= 40 else ()
    return Panel(series.key, series.label, top + 9, bottom, line, area, ticks, dots)


def _ticks_along(
    values: Sequence[float], end: float, across: Callable[[float], float], write: Callable[[float], str]
) -> tuple[Tick, ...]:
    shown = [value for value in values if value <= end * (1 + 1e-9)]
    left, right = across(0), across(end)
    anchors = ("start" if x - left < 12 else "end" if right - x < 14 else "middle" for x in map(across, shown))
    return tuple(Tick(across(value), write(value), anchor) for value, anchor in zip(shown, anchors, strict=True))


def _markers(moments: Sequence[Moment], across: Callable[[float], float]) -> list[Marker]:
    """The moments with their numbers, in as many rows as it takes that none covers another."""
    ends = [-_BADGE * 2.0] * MOST_MARKERS
    placed = []
    for index, moment in enumerate(moments[:MOST_MARKERS], 1):
        x = across(moment.seconds)
        row = next(row for row, last in enumerate(ends) if x - last >= _BADGE)
        ends[row] = x
        placed.append(Marker(x, 9.0 + row * _BADGE, index, moment))
    return placed


def histogram(
    bins: Sequence[tuple[float, int]], marks: Sequence[tuple[float, str]], width: int, *, height: float = 120
) -> BarChart:
    """Bars of equal width for (upper limit in ms, count), and where the named latencies lie among them."""
    left, right, top = 40.0, width - 8.0, 24.0
    bottom = top + height - 24
    tallest = scale_from_zero(max((count for _, count in bins), default=1) or 1, 3)
    each = (right - left) / max(1, len(bins))
    bars = []
    for index, (upper, count) in enumerate(bins):
        tall = round((bottom - top) * max(0, count) / tallest[-1], 1)
        x, wide = round(left + each * (index + 0.08), 1), round(each * 0.84, 1)
        bars.append(Bar(x, round(bottom - tall, 1), wide, tall, short_ms(upper), count))
    every = max(1, math.ceil(len(bins) / (width // 62)))
    labels = tuple(
        Tick(round(left + (index + 1) * each, 1), short_ms(upper), "middle" if index + 1 < len(bins) else "end")
        for index, (upper, _) in enumerate(bins) if (index + 1) % every == 0
    )  # fmt: skip
    ticks = tuple(
        Tick(round(bottom - (bottom - top) * value / tallest[-1], 1), f"{value:g}", "end")
        for value in tallest if value == int(value)
    )  # fmt: skip
    places = (Tick(_among(bins, ms, left, each), label) for ms, label in marks)
    markers = tuple(sorted(places, key=lambda tick: tick.at))
    names = tuple(_named(markers, left, right))
    return BarChart(width, bottom + 20, left, right, bottom, tuple(bars), ticks, labels, markers, names)


def _named(markers: Sequence[Tick], left: float, right: float) -> Iterable[Tick]:
    """The markers' names; those of neighbours stand together, where they would cover each other."""
    groups: list[list[Tick]] = []
    for tick in markers:
        if groups and tick.at - groups[-1][-1].at < _BADGE * 2:
            groups[-1].append(tick)
        else:
            groups.append([tick])
    for group in groups:
        at = group[0].at
        anchor = "end" if right - at < 60 else "start" if at - left < 12 else "middle"
        yield Tick(at, ", ".join(tick.label for tick in group), anchor)


def _among(bins: Sequence[tuple[float, int]], ms: float, left: float, each: float) -> float:
    """Where a latency lies: within its bar, in proportion."""
    lower = 0.0
    for index, (upper, _) in enumerate(bins):
        if ms <= upper:
            return round(left + each * (index + (ms - lower) / ((upper - lower) or 1)), 1)
        lower = upper
    return round(left + each * len(bins), 1)


def short_seconds(value: float) -> str:
    """``0 s``, ``2.5 s``, ``1:30`` minutes, ``1:05 h``."""
    if value < 60:
        return f"{value:g} s"
    if value < 3600:
        return f"{int(value // 60)}:{int(value % 60):02d} min"
    return f"{int(value // 3600)}:{int(value % 3600 // 60):02d} h"


def short_ms(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.3g} s"
    return f"{value:.3g} ms" if value >= 0.1 or not value else "<0.1 ms"


def short_number(value: float) -> str:
    return f"{value:.4g}"


def short_memory(value: float) -> str:
    """Binary, without a fraction that a round step does not have: ``512 MiB``, ``1.5 GiB``."""
    for unit, size in (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}" if value else "0"


def short_bytes(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}" if value else "0"


def thinned(count: int, most: int) -> list[int]:
    """At most ``most`` indices of ``count`` rows, evenly spread, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(index * (count - 1) / (most - 1)) for index in range(most)})
