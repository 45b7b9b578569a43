"""The report's charts with what stands beside them: text equivalents, legends of the marks, and tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from listings.twin import plots
from listings.twin.document import Call, Load, MetricSeries, Report, TwinRun
from listings.twin.phases import phase_title

TABLE_ROWS = 40
_CALLS_MARKED = 5
_TONES = {
    "ping": "pass", "start": "plain", "request": "plain", "load": "plain", "signal": "warn", "end": "plain",
    "out-of-memory": "fail", "call": "fail",
}  # fmt: skip
#: Marks that stay where there is no room for all of them, first things first.
_FIRST = ("out-of-memory", "ping", "call", "signal", "load", "end", "start")
_NETWORKS = {"drop": "calls left unanswered", "diagnose": "calls answered to learn their purpose"}


@dataclass(frozen=True, slots=True)
class Drawn:
    """``charts``: wide, then narrow. ``summary`` says the same in words, ``table`` in numbers."""

    title: str
    summary: str
    charts: tuple[plots.Chart, ...]
    columns: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]
    note: str = ""
    phase: str = ""
    is_main: bool = True

    @property
    def markers(self) -> tuple[plots.Marker, ...]:
        return self.charts[0].markers if self.charts else ()


def network_words(network: str) -> str:
    return _NETWORKS.get(network, "")


def resources(report: Report) -> list[Drawn]:
    """The resource plot of every run, of its marks alone where it recorded no more; the runs that decide first."""
    drawn = [_resources(run, report.outgoing) for run in report.runs if run.resources.seconds or run.marks]
    return sorted(drawn, key=lambda each: not each.is_main)


def main_resources(runs: Sequence[TwinRun], calls: Sequence[Call]) -> Drawn | None:
    """The plot for a small place: of serving, else of training."""
    found = {run.phase: run for run in reversed(runs) if run.resources.seconds and _decides(run)}
    run = found.get("serve") or found.get("train")
    return _resources(run, calls, keys=("memory", "cpu")) if run else None


def _decides(run: TwinRun) -> bool:
    return run.phase in ("train", "serve") and run.network in ("", "refuse")


def _resources(run: TwinRun, calls: Sequence[Call], keys: Iterable[str] = ()) -> Drawn:
    found = run.resources
    series = [
        plots.Series("memory", "Memory", found.memory, plots.short_memory, binary=True),
        plots.Series("cpu", "CPU, in vCPU", found.cpu, plots.short_number),
        plots.Series("processes", "Processes", found.processes, plots.short_number),
        plots.Series("disk", "Written", found.disk, plots.short_bytes),
    ]
    series = [each for each in series if each.values and (not keys or each.key in keys)]
    moments = _moments(run, calls)
    charts = tuple(
        plots.timeline(f"{run.phase}-{run.network or 'refuse'}", found.seconds, series, moments, width)
        for width in (plots.WIDE, plots.NARROW)
    )
    table = tuple(
        (f"{found.seconds[index]:.1f}", *(each.write(each.values[index]) for each in series))
        for index in plots.thinned(len(found.seconds), TABLE_ROWS)
    )
    words = network_words(run.network)
    title = phase_title(run.phase) + (f", {words}" if words else "")
    columns = ("Seconds", *(each.label for each in series))
    table = table if series else ()
    note = f"peak {plots.short_memory(max(found.memory))}" if found.memory else ""
    summary = ". ".join(_told(each, found.seconds) for each in series) + "." if series else "Its marks are listed."
    return Drawn(title, summary, charts, columns, table, note, run.phase, _decides(run))


def _told(series: plots.Series, seconds: Sequence[float]) -> str:
    at = max(range(len(series.values)), key=lambda index: series.values[index])
    peak, last = series.write(series.values[at]), series.write(series.values[-1])
    when = plots.short_seconds(round(seconds[at], 1))
    return f"{series.label}: at most {peak}, {when} after the start; {last} at the end"


def _moments(run: TwinRun, calls: Sequence[Call]) -> list[plots.Moment]:
    found = [(mark.kind, mark.seconds, mark.text or mark.kind, mark.log_line) for mark in run.marks]
    of_run = [call for call in calls if call.phase == run.phase and call.network in ("", run.network)]
    seen = [call for call in of_run if call.first_seconds is not None][:_CALLS_MARKED]
    found += [("call", call.first_seconds or 0, f"calls {place(call)}", call.log_line) for call in seen]
    rank = {kind: index for index, kind in enumerate(_FIRST)}
    first = sorted(range(len(found)), key=lambda index: rank.get(found[index][0], len(rank)))[: plots.MOST_MARKERS]
    # Marks of one moment stay in the order in which they were made.
    kept = sorted((found[index] for index in sorted(first)), key=lambda each: each[1])
    return [plots.Moment(max(0.0, at), text, _TONES.get(kind, "plain"), line) for kind, at, text, line in kept]


def place(call: Call) -> str:
    where = call.host or call.address or "?"
    where = f"[{where}]" if ":" in where else where
    return f"{where}:{call.port}" if call.port and call.protocol != "dns" else where


def metrics(series: Sequence[MetricSeries]) -> list[Drawn]:
    """A plot for each metric that was printed at least twice."""
    return [_metric(each) for each in series if max(len(each.points), len(each.values)) > 1]


def _metric(metric: MetricSeries) -> Drawn:
    timed = len(metric.points) > 1
    along = [at for at, _ in metric.points] if timed else [float(index + 1) for index in range(len(metric.values))]
    values = [value for _, value in metric.points] if timed else list(metric.values)
    write = plots.short_seconds if timed else plots.short_number
    series = plots.Series("metric", metric.name, values, plots.short_number)
    charts = tuple(
        plots.timeline("metric", along, [series], (), width, panel_height=96, from_zero=False, write=write)
        for width in (plots.NARROW + 50, plots.NARROW)
    )
    first, last = plots.short_number(values[0]), plots.short_number(values[-1])
    low, high = plots.short_number(min(values)), plots.short_number(max(values))
    summary = f"{metric.name}: {first} at first, {last} at last, from {low} to {high} in {len(values)} values."
    table = tuple(
        (write(round(along[i], 2)), plots.short_number(values[i])) for i in plots.thinned(len(values), TABLE_ROWS)
    )
    return Drawn(metric.name, summary, charts, ("Seconds" if timed else "Value", metric.name), table, f"last {last}")


@dataclass(frozen=True, slots=True)
class DrawnLoad:
    summary: str
    charts: tuple[plots.BarChart, ...]
    table: tuple[tuple[str, str], ...]


def latency(load: Load | None) -> DrawnLoad | None:
    if load is None or not load.histogram:
        return None
    named = ((load.p50_ms, "p50"), (load.p90_ms, "p90"), (load.p99_ms, "p99"))
    marks = [(ms, name) for ms, name in named if ms is not None]
    charts = tuple(plots.histogram(load.histogram, marks, width) for width in (plots.WIDE, plots.NARROW))
    told = ", ".join(f"{name} {plots.short_ms(ms)}" for ms, name in marks)
    total = sum(count for _, count in load.histogram)
    table = tuple((f"up to {plots.short_ms(upper)}", f"{count}") for upper, count in load.histogram)
    return DrawnLoad(f"Latency of {total} requests: {told or 'no percentiles'}.", charts, table)
