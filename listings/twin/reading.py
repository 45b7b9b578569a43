"""Reads the facts of a run's steps into the report's parts. Facts may be of an older release, or hold whatever a
container wrote: every value is checked, cut and counted; what is missing stays unknown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from listings.twin.document import (
    Advice,
    Batch,
    BatchRecord,
    Call,
    Host,
    Image,
    Inference,
    Instance,
    Layer,
    Load,
    Mark,
    MemoryGrowth,
    MetricSeries,
    ModelArchive,
    ModelFile,
    Package,
    PipelineContainer,
    Profile,
    RequestItem,
    Resources,
    SkippedRun,
    Training,
    TwinRun,
)

Facts = Mapping[str, Any]

#: A distributed, tunable algorithm with Pipe mode that calls out while it trains and serves has 16 runs.
MAX_RUNS, MAX_MARKS, MAX_SAMPLES = 24, 60, 600
MAX_HOSTS, MAX_CONTAINERS = 20, 15
MAX_CALLS, MAX_REQUESTS, MAX_LAYERS = 200, 100, 200
MAX_FILES, MAX_PACKAGES, MAX_LARGEST = 200, 200, 10
MAX_METRICS, MAX_POINTS, MAX_BINS = 40, 200, 60
MAX_INSTANCES, MAX_PARAMETERS, MAX_DIFFERENCES = 120, 20, 20
WORDS, LINE, TEXT = 200, 1000, 2000
GREATEST = 2**63
_NO_FACTS: Facts = {}


def number(value: Any) -> float | None:
    """A number of a size that something can be drawn of, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < GREATEST and not math.isnan(value) else None


def whole(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def text(value: Any, limit: int = WORDS) -> str:
    if value is None:
        return ""
    return (value if isinstance(value, str) else str(value))[:limit]


def items(value: Any, limit: int) -> list[Any]:
    return list(value[:limit]) if isinstance(value, list | tuple) else []


def mapping(value: Any) -> Facts:
    return value if isinstance(value, Mapping) else _NO_FACTS


def rows(value: Any, limit: int) -> Iterator[Facts]:
    return (row for row in items(value, limit) if isinstance(row, Mapping))


def pairs(value: Any, limit: int) -> Iterator[tuple[Any, Any]]:
    return ((row[0], row[1]) for row in items(value, limit) if isinstance(row, list | tuple) and len(row) >= 2)


def numbers(value: Any, limit: int) -> tuple[float, ...]:
    return tuple(found for found in map(number, items(value, limit)) if found is not None)


def files(value: Any, limit: int) -> tuple[ModelFile, ...]:
    return tuple(ModelFile(path=text(path, LINE), bytes=number(size) or 0) for path, size in pairs(value, limit))


def twin_runs(facts: Facts) -> tuple[TwinRun, ...]:
    return tuple(
        TwinRun(
            phase=text(run.get("phase")) or "run",
            network=text(run.get("network")),
            seconds=number(run.get("seconds")),
            marks=tuple(_marks(run)),
            resources=_resources(mapping(run.get("resources"))),
        )
        for run in rows(facts.get("runs"), MAX_RUNS)
    )


def runs_more(facts: Facts) -> int:
    """How many more runs are recorded than ``twin_runs`` lists."""
    recorded = facts.get("runs")
    return max(0, len(recorded) - MAX_RUNS) if isinstance(recorded, list) else 0


def runs_skipped(facts: Facts) -> tuple[SkippedRun, ...]:
    return tuple(
        SkippedRun(phase=text(row.get("phase")), network=text(row.get("network")), reason=text(row.get("reason"), LINE))
        for row in rows(facts.get("runs_skipped"), MAX_RUNS)
    )


def hosts(facts: Facts) -> tuple[Host, ...]:
    return tuple(
        Host(host=text(row.get("host")), exit_code=whole(row.get("exit_code")), seconds=number(row.get("seconds")))
        for row in rows(facts.get("hosts"), MAX_HOSTS)
    )


def _marks(run: Facts) -> Iterator[Mark]:
    for mark in rows(run.get("marks"), MAX_MARKS):
        seconds = number(mark.get("seconds"))
        if seconds is not None:
            kind, line = text(mark.get("kind"), 40), whole(mark.get("log_line"))
            yield Mark(seconds=seconds, kind=kind, text=text(mark.get("text")), log_line=line)


def _resources(facts: Facts) -> Resources:
    """The series as far as they are equally long; one that is not is left out."""
    seconds = numbers(facts.get("seconds"), MAX_SAMPLES)
    if len(seconds) < 2 or any(later < earlier for earlier, later in zip(seconds, seconds[1:], strict=False)):
        return Resources()
    series = {name: numbers(facts.get(name), MAX_SAMPLES) for name in ("cpu", "memory", "processes", "disk")}
    return Resources(seconds=seconds, **{name: row for name, row in series.items() if len(row) == len(seconds)})


def calls(facts: Facts) -> tuple[tuple[Call, ...], int]:
    """The calls, and how many more are recorded than listed."""
    recorded = facts.get("outgoing")
    listed = tuple(
        Call(
            phase=text(call.get("phase")), network=text(call.get("network")), protocol=text(call.get("protocol")),
            host=text(call.get("host")), address=text(call.get("address")), port=whole(call.get("port")) or None,
            count=whole(call.get("count")) or 1, first_seconds=number(call.get("first_seconds")),
            log_line=whole(call.get("log_line")), hint=_hint(call),
        )
        for call in rows(recorded, MAX_CALLS)
    )  # fmt: skip
    return listed, max(0, len(recorded) - MAX_CALLS) if isinstance(recorded, list) else 0


def _hint(call: Facts) -> str:
    """What is known of the call beside its place, as one text: hints, then what the diagnosis learnt."""
    details = call.get("details")
    if isinstance(details, Mapping):
        told = [f"{text(key, 40)}: {text(value)}" for key, value in list(details.items())[:8] if value]
    elif isinstance(details, list):
        told = [text(each) for each in details[:8]]
    else:
        told = [text(details)]
    return "; ".join(part for part in [text(call.get("hint"), LINE), *told] if part)[:LINE]


def training(facts: Facts) -> Training | None:
    found = facts.get("training")
    if not isinstance(found, Mapping):
        return None
    return Training(
        exit_code=whole(found.get("exit_code")), seconds=number(found.get("seconds")),
        failure=text(found.get("failure"), TEXT), model_bytes=number(found.get("model_bytes")),
        model_sha256=text(found.get("model_sha256")), model_files=whole(found.get("model_files")),
        model_unpacked_bytes=number(found.get("model_unpacked_bytes")),
        model_listing=files(found.get("model_listing"), MAX_FILES), metrics=tuple(_metrics(found)),
        output_files=whole(found.get("output_files")), output_bytes=number(found.get("output_bytes")),
        output_listing=files(found.get("output_listing"), MAX_FILES),
    )  # fmt: skip


def models(fetched: Facts, trained: Training | None) -> tuple[ModelArchive, ...]:
    """What was served: the archive that training made, else those of the source."""
    if trained is not None:
        if not trained.model_bytes:
            return ()
        return (
            ModelArchive(
                origin="training", bytes=trained.model_bytes, unpacked_bytes=trained.model_unpacked_bytes,
                sha256=trained.model_sha256, files=trained.model_files, listing=trained.model_listing,
            ),
        )  # fmt: skip
    named = list(mapping(fetched.get("artifacts")).items())[:MAX_CONTAINERS]
    if named:
        return tuple(_archive(mapping(facts), "", text(name)) for name, facts in named)
    return (_archive(fetched, "artifact_"),) if fetched.get("artifact_sha256") else ()


def _archive(facts: Facts, prefix: str, container: str = "") -> ModelArchive:
    return ModelArchive(
        origin="source", container=container, bytes=number(facts.get(f"{prefix}bytes")),
        unpacked_bytes=number(facts.get(f"{prefix}unpacked_bytes")), sha256=text(facts.get(f"{prefix}sha256")),
        files=whole(facts.get(f"{prefix}files")), listing=files(facts.get(f"{prefix}listing"), MAX_FILES),
    )  # fmt: skip


def _metrics(facts: Facts) -> Iterator[MetricSeries]:
    values, series = mapping(facts.get("metrics")), mapping(facts.get("metric_series"))
    for name in list(dict.fromkeys([*values, *series]))[:MAX_METRICS]:
        found = [(number(at), number(value)) for at, value in pairs(series.get(name), MAX_POINTS)]
        points = tuple((at, value) for at, value in found if at is not None and value is not None)
        yield MetricSeries(name=text(name), values=numbers(values.get(name), MAX_POINTS), points=points)


def inference(facts: Facts) -> Inference | None:
    found = facts.get("inference")
    if not isinstance(found, Mapping):
        return None
    parameters = found.get("execution_parameters")
    return Inference(
        first_ping_seconds=number(found.get("first_ping_seconds")), stop_seconds=number(found.get("stop_seconds")),
        exit_code=whole(found.get("exit_code")),
        requests=tuple(map(_request, rows(found.get("requests"), MAX_REQUESTS))),
        load=_load(found.get("load")), memory_growth=_growth(found.get("memory_growth")),
        execution_parameters={
            text(key): text(value) for key, value in list(parameters.items())[:MAX_PARAMETERS]
        } if isinstance(parameters, Mapping) else None,
        pipeline=tuple(map(_container, rows(found.get("pipeline"), MAX_CONTAINERS))),
    )  # fmt: skip


def _container(row: Facts) -> PipelineContainer:
    return PipelineContainer(
        name=text(row.get("name")), port=whole(row.get("port")), exit_code=whole(row.get("exit_code")),
        first_ping_seconds=number(row.get("first_ping_seconds")),
    )  # fmt: skip


def _request(sent: Facts) -> RequestItem:
    matched = sent.get("matched")
    return RequestItem(
        name=text(sent.get("name")), status=whole(sent.get("status")), ms=number(sent.get("ms")),
        matched=matched if isinstance(matched, bool) else None, content_type=text(sent.get("content_type")),
        bytes=number(sent.get("bytes")), error=text(sent.get("error")), sha256=text(sent.get("sha256")),
        text=text(sent.get("text"), TEXT),
        differences=tuple(text(each, LINE) for each in items(sent.get("differences"), MAX_DIFFERENCES)),
    )  # fmt: skip


def batch(facts: Facts) -> Batch | None:
    found = facts.get("batch")
    if not isinstance(found, Mapping):
        return None
    records = (
        BatchRecord(
            name=text(row.get("name")), kind=text(row.get("kind")), records=whole(row.get("records")),
            status=whole(row.get("status")), ms=number(row.get("ms")),
        )
        for row in rows(found.get("records"), MAX_REQUESTS)
    )  # fmt: skip
    return Batch(
        first_ping_seconds=number(found.get("first_ping_seconds")), stop_seconds=number(found.get("stop_seconds")),
        exit_code=whole(found.get("exit_code")), records=tuple(records),
    )  # fmt: skip


def _load(value: Any) -> Load | None:
    if not isinstance(value, Mapping) or not value:
        return None
    counts = {name: whole(value.get(name)) for name in ("clients", "requests", "errors")}
    figures = ("seconds", "throughput", "p50_ms", "p90_ms", "p99_ms", "max_ms", "ping_p99_ms", "ping_max_ms")
    found = [(number(upper), whole(count)) for upper, count in pairs(value.get("histogram"), MAX_BINS)]
    bins = tuple((upper, count) for upper, count in found if upper is not None and count is not None)
    return Load(**counts, **{name: number(value.get(name)) for name in figures}, histogram=bins)


def _growth(value: Any) -> MemoryGrowth | None:
    if not isinstance(value, Mapping) or not value:
        return None
    first, last = number(value.get("first_bytes")), number(value.get("last_bytes"))
    return MemoryGrowth(requests=whole(value.get("requests")), first_bytes=first, last_bytes=last)


def image(inspected: Facts, digest: str, system: str) -> Image | None:
    """The image with its layers; ``system`` is what the scan found, if the image does not say."""
    if not inspected:
        return None
    total = number(inspected.get("bytes_uncompressed"))
    layers = list(rows(inspected.get("layers"), MAX_LAYERS))
    whole_size = total or sum(number(layer.get("bytes")) or 0 for layer in layers)
    xray = mapping(inspected.get("xray"))
    lines = [at for at in map(whole, items(xray.get("lines"), 10)) if at is not None and 0 <= at < len(layers)]
    return Image(
        digest=digest, bytes_compressed=number(inspected.get("bytes_compressed")), bytes=total,
        operating_system=text(mapping(inspected.get("os_release")).get("PRETTY_NAME")) or text(system),
        user=text(inspected.get("user")) or "root", layers=tuple(_layer(layer, whole_size) for layer in layers),
        largest_lines=tuple(lines), largest_share=number(xray.get("share")),
    )  # fmt: skip


def _layer(layer: Facts, whole_size: float) -> Layer:
    size = number(layer.get("bytes"))
    packages = [row for row in items(layer.get("packages"), MAX_PACKAGES) if isinstance(row, list) and len(row) >= 3]
    return Layer(
        line=text(layer.get("created_by"), LINE), bytes=size, bytes_compressed=number(layer.get("bytes_compressed")),
        share=round(min(1.0, max(0.0, (size or 0) / whole_size)), 8) if whole_size else 0.0,
        files=whole(layer.get("files")), package_count=whole(layer.get("package_count")),
        packages=tuple(Package(manager=text(p[0]), name=text(p[1]), version=text(p[2])) for p in packages),
        largest=files(layer.get("largest"), MAX_LARGEST),
    )  # fmt: skip


def advice(facts: Facts) -> Advice:
    told = mapping(facts.get("advice"))
    cheapest = {text(use): text(name) for use, name in list(mapping(told.get("cheapest")).items())[:6] if name}
    instances = tuple(map(_instance, rows(facts.get("advisor"), MAX_INSTANCES)))
    return Advice(instances=instances, cheapest=cheapest, price_date=text(told.get("price_date")))


def _instance(row: Facts) -> Instance:
    fits = row.get("fits")
    return Instance(
        instance_type=text(row.get("instance_type")), use=text(row.get("use")),
        fits=fits if isinstance(fits, bool) else None, measured=row.get("measured") is True,
        reason=text(row.get("reason"), LINE), vcpus=number(row.get("vcpus")), memory_gib=number(row.get("memory_gib")),
        usd_per_hour=number(row.get("usd_per_hour")),
    )  # fmt: skip


def profile(facts: Facts) -> Profile | None:
    return _profile(facts.get("profile"))


def profiles(facts: Facts) -> dict[str, Profile]:
    """By phase; empty for a run whose worker recorded one for all."""
    found = ((text(phase), _profile(row)) for phase, row in list(mapping(facts.get("profiles")).items())[:4])
    return {phase: each for phase, each in found if each is not None}


def _profile(value: Any) -> Profile | None:
    found = mapping(value)
    if not found:
        return None
    return Profile(
        instance_type=text(found.get("instance_type")), memory_bytes=number(found.get("memory_bytes")),
        cpus=number(found.get("cpus")), clamped=tuple(text(each) for each in items(found.get("clamped"), 10)),
    )  # fmt: skip


def worst(outcomes: Sequence[str]) -> str | None:
    """The worst of the outcomes; a skip counts only where nothing else is known."""
    return next((each for each in ("fail", "warn", "pass", "skip") if each in outcomes), None)
