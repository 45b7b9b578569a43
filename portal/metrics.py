"""``/metrics`` for Prometheus: numbers from the database, the same in every web process, and a few of this process.

Names and units follow Prometheus' naming practices: base units, ``_total`` for counters.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterable, Iterator, Mapping

import django
from django.db import Error as DatabaseTrouble
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from listings.about import VERSION
from listings.queries import metrics as numbers
from listings.services import dependencies, workers
from listings.services.planning import queue_of
from portal import live

#: Readings over all attempts serve this long, however often and by however many is scraped.
FRESH_SECONDS = 10.0


class _Kept:
    """The last reading of the database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading: numbers.Numbers | None = None
        self._read_at = float("-inf")

    def get(self) -> numbers.Numbers:
        with self._lock:
            if self._reading is None or time.monotonic() - self._read_at > FRESH_SECONDS:
                self._reading, self._read_at = numbers.read(), time.monotonic()
            return self._reading

    def forget(self) -> None:
        with self._lock:
            self._reading = None


kept = _Kept()


class _Slipway(Collector):
    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "slipway_build", "The release that answers.",
            {"version": VERSION, "python": platform.python_version(), "django": django.get_version()},
        )  # fmt: skip
        yield from _live()
        answers = dependencies.ask_all()
        yield _gauges(
            "slipway_dependency_up", "Whether a dependency of the portal answers.", ("dependency",),
            {(name,): float(answers[name].ok) for name in dependencies.OWN},
        )  # fmt: skip
        disk = answers["storage"]
        if disk.free is not None and disk.total is not None:
            yield GaugeMetricFamily("slipway_storage_free_bytes", "Free space where files are stored.", disk.free)
            yield GaugeMetricFamily("slipway_storage_size_bytes", "Size of the disk they are stored on.", disk.total)
        if not answers["database"].ok:
            return
        try:
            reading = kept.get()
        except DatabaseTrouble:
            return
        for part in (_queues, _attempts, _durations, _states, _hooks, _workers):
            yield from part(reading)


def _live() -> Iterator[Metric]:
    """Of this web process only: the label says which."""
    process, counts = (str(os.getpid()),), live.metrics
    yield _gauges(
        "slipway_live_viewers", "Pages that follow live, by web process.", ("process",), {process: counts.viewers}
    )
    for name, text, value in (
        ("opened", "Live streams opened", counts.opened),
        ("refused", "Live streams refused", counts.refused),
        ("resyncs", "Times that a page was told to load again", counts.resyncs),
    ):
        yield _counters(f"slipway_live_{name}", f"{text}, by web process.", ("process",), {process: value})


def _queues(reading: numbers.Numbers) -> Iterator[Metric]:
    labels = ("queue", "step")
    waiting = {(queue_of(step), step): place for step, place in reading.waiting.items()}
    yield _gauges(
        "slipway_queue_length", "Attempts that wait for a worker.", labels,
        {key: place.length for key, place in waiting.items()},
    )  # fmt: skip
    yield _gauges(
        "slipway_queue_oldest_age_seconds", "Age of the oldest attempt that waits, 0 if none does.", labels,
        {key: place.oldest_seconds for key, place in waiting.items()},
    )  # fmt: skip


def _attempts(reading: numbers.Numbers) -> Iterator[Metric]:
    yield _counters("slipway_attempts", "Attempts that ended.", ("step", "outcome"), reading.attempts)
    lost = sum(count for (_, outcome), count in reading.attempts.items() if outcome == "lost")
    yield CounterMetricFamily("slipway_leases_lost", "Attempts whose worker stopped giving signs of life.", lost)
    yield _gauges("slipway_attempts_running", "Attempts that a worker holds.", ("step",), _keyed(reading.running))
    yield _gauges("slipway_attempts_parked", "Attempts that wait for AWS.", ("step",), _keyed(reading.parked))


def _durations(reading: numbers.Numbers) -> Iterator[Metric]:
    family = HistogramMetricFamily(
        "slipway_step_duration_seconds", "Time from a worker's claim to the attempt's end.", labels=("step",)
    )
    for step, found in reading.durations.items():
        bounds = [(str(bound), count) for bound, count in zip(numbers.BUCKETS, found.counts, strict=True)]
        family.add_metric([step], [*bounds, ("+Inf", found.total)], found.seconds)
    yield family


def _states(reading: numbers.Numbers) -> Iterator[Metric]:
    yield _gauges("slipway_runs", "Runs by state.", ("state",), _keyed(reading.runs))
    yield _gauges("slipway_releases", "Releases by state.", ("state",), _keyed(reading.releases))
    yield GaugeMetricFamily("slipway_mails_unsent", "Notices whose mail was not sent.", reading.mails_unsent)


def _hooks(reading: numbers.Numbers) -> Iterator[Metric]:
    yield _counters(
        "slipway_webhook_deliveries", "Deliveries to webhooks that exist.", ("provider", "decision"), reading.deliveries
    )
    yield GaugeMetricFamily(
        "slipway_commit_statuses_waiting", "Reports to code hosts that are still to be sent.", reading.statuses_waiting
    )


def _workers(reading: numbers.Numbers) -> Iterator[Metric]:
    alive = [row for row in reading.workers if reading.read_at - row.seen_at < workers.SILENT]
    by_state = {
        (queue, state): float(sum(row.queue == queue and (row.slots > 0) is (state == "ready") for row in alive))
        for queue in workers.QUEUES
        for state in ("ready", "unready")
    }
    slots = {(queue,): float(sum(row.slots for row in alive if row.queue == queue)) for queue in workers.QUEUES}
    yield _gauges("slipway_workers", "Workers that give signs of life.", ("queue", "state"), by_state)
    yield _gauges("slipway_worker_slots", "Steps that may run at once.", ("queue",), slots)
    yield _gauges("slipway_worker_slots_busy", "Steps that workers hold.", ("queue",), _keyed(reading.busy))
    free = {
        (row.name,): float(row.detail["disk"]["free_bytes"])
        for row in alive
        if (row.detail.get("disk") or {}).get("free_bytes") is not None
    }
    yield _gauges("slipway_worker_disk_free_bytes", "Free space where a worker works.", ("worker",), free)
    reaped = {
        (row.host, kind): float(count)
        for row in reading.workers
        for kind, count in (row.detail.get("reaped") or {}).items()
    }
    yield _counters("slipway_reaped", "Things that dead attempts left and a host removed.", ("host", "kind"), reaped)


def _keyed(values: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    return {(key,): value for key, value in values.items()}


def _gauges(name: str, text: str, labels: Iterable[str], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family


def _counters(name: str, text: str, labels: Iterable[str], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=list(labels))
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family


registry = CollectorRegistry(auto_describe=False)
registry.register(_Slipway())
ProcessCollector(registry=registry)


def exposition(accept: str) -> tuple[bytes, str]:
    """All metrics in the format that ``accept`` asks for (Prometheus' text, or OpenMetrics), and its content type."""
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
