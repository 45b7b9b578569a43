"""The isolated test against the bare ``docker run`` of the same sample, and what its own parts cost."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker.types import Mount

from listings import blobs
from listings.spec import parse
from tests.bench.by_hand import ByHand
from tests.bench.conftest import Say, middle, packed, sample_context
from tests.engine.context import make_context
from tests.engine.twin_fixtures import Twin, configure, staged, twin
from tests.registry_fixtures import Registry
from workers.engine import Engine, attempt_labels
from workers.sandbox.holder_client import Holder
from workers.sandbox.holder_image import ensure_holder_image
from workers.sandbox.serving.overhead import measure
from workers.steps import test as test_step
from workers.steps.contract import Stop

__all__ = ["configure", "staged", "twin"]

TIMES = 5


@pytest.fixture
def instance() -> str:
    return f"bench-{uuid.uuid4()}"


@dataclass(frozen=True)
class Step:
    """One test step: its wall time, what of it its probes took, in seconds, and the runs that it made."""

    wall: float
    probing: float
    phases: tuple[str, ...]


def run_step(facts: dict[str, Any], folder: Path, instance: str) -> Step:
    made, log = make_context(folder / uuid.uuid4().hex, facts, instance)
    started = time.monotonic()
    report = test_step.execute(made)
    wall = time.monotonic() - started
    assert report.problem is None, log.text()
    told = (report.facts[name] or {} for name in ("inference", "batch"))
    probing = sum(float(each.get("probing_seconds") or 0.0) for each in told)
    return Step(wall, probing, tuple(run["phase"] for run in report.facts["runs"]))


@pytest.mark.timeout(3600)
def bench_test_step(
    twin: Twin, engine: Engine, registry: Registry, instance: str, tmp_path: Path, say: Say,
    configure: Callable[..., None],
) -> None:  # fmt: skip
    configure(ping_deadline_seconds=480.0, test_disk_mb=4096, test_inodes=100_000, test_pids=1024)
    context = sample_context(tmp_path, uuid.uuid4().hex)
    labels = attempt_labels(instance, "bench", uuid.uuid4())
    name = f"{registry.host}/staging/bench-{uuid.uuid4().hex}"
    engine.client.images.build(path=str(context), tag=name, rm=True, forcerm=True, labels=labels)
    credentials = {"username": registry.username, "password": registry.password}
    events = engine.api.push(name, stream=True, decode=True, auth_config=credentials)
    digest = next(event["aux"]["Digest"] for event in events if "aux" in event)
    spec = parse((context / "slipway.yaml").read_text())
    facts = {
        "fetch": {
            "spec": spec.as_json(), "archive_sha256": blobs.store(packed(context)).sha256,
            "artifact_sha256": None, "artifacts": {},
        },
        "build": {"staging_repository": name.partition("/")[2], "digest": digest},
    }  # fmt: skip
    hand = ByHand(engine, registry, labels)
    steps, hands = [], []
    for _ in range(TIMES):
        steps.append(run_step(facts, tmp_path, instance))
        hands.append(hand.containers(name, context, steps[-1].phases))
    engine.remove_image(f"{name}:latest")
    ratio = [(step.wall - step.probing) / by_hand for step, by_hand in zip(steps, hands, strict=True)]
    say(f"\nTest step, sample algorithm (seconds, median of {TIMES})")
    say(f"  whole step                             {middle([step.wall for step in steps])}")
    say(f"  of that, probes of the server          {middle([step.probing for step in steps])}")
    say(f"  docker run, by hand, of the same runs  {middle(hands)}")
    say(f"    {', '.join(steps[-1].phases)}")
    say(f"  (step - probes) / by hand              {middle(ratio)}")
    say(f"  target (1.3): {'met' if statistics.median(ratio) <= 1.3 else 'missed'}")


@pytest.mark.timeout(600)
def bench_holder(twin: Twin, engine: Engine, instance: str, say: Say) -> None:
    """From its start until it is ready, its own volume included, as each run needs it."""
    image = ensure_holder_image(engine)
    ready = []
    for _ in range(TIMES + 1):
        labels = attempt_labels(instance, "bench", uuid.uuid4())
        volume = engine.create_volume(labels=labels)
        started = time.monotonic()
        mount = Mount(target="/opt/ml", source=str(volume.name), type="volume")
        holder = Holder.start(engine, image, labels, [mount], Stop())
        ready.append(time.monotonic() - started)
        holder.close()
        engine.remove_volume(str(volume.name))
    say(f"\nHolder, from its start until it is ready (seconds)\n  {middle(ready[1:])}")
    say(f"  target (1 s): {'met' if statistics.median(ready[1:]) < 1 else 'missed'}")


@pytest.mark.timeout(600)
def bench_prober(twin: Twin, engine: Engine, instance: str, say: Say) -> None:
    """What a probe adds to a request, measured inside the holder against a server that does nothing."""
    found = [measure(engine, instance) for _ in range(TIMES)]
    assert not any(each["errors"] for each in found)
    say(f"\nProber, its own share of a request (milliseconds, {found[0]['requests']} requests, {TIMES} times)")
    say(f"  p50  {middle([each['p50_ms'] for each in found])}")
    say(f"  p99  {middle([each['p99_ms'] for each in found])}")
    say(f"  target (1 ms at p50): {'met' if statistics.median(each['p50_ms'] for each in found) < 1 else 'missed'}")
