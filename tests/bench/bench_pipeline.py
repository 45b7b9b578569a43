"""The sample algorithm from submit to pushed: Slipway's own overhead, and the same work done by hand."""

from __future__ import annotations

import statistics
import uuid
from pathlib import Path
from typing import Any

import pytest

from listings.models import Attempt, Listing, Run
from listings.services import versions
from listings.states import RunState
from tests.bench.by_hand import ByHand
from tests.bench.conftest import Say, middle, packed, sample_context, upload_version
from tests.registry_fixtures import Registry
from tests.stack import Stack, wait_until
from workers.engine import Engine, attempt_labels

TIMES = 5


def outside(run: Run) -> float:
    """Seconds of the run in which an engine, a registry or a container was at work: the union of all spans."""
    pieces = sorted(
        (start, end) for spans in Attempt.objects.filter(step__run=run).values_list("spans", flat=True)
        for kind, start, end in spans if kind in ("engine", "registry", "container")
    )  # fmt: skip
    total, reached = 0.0, 0.0
    for start, end in pieces:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def slipway(seller: Any, listing: Listing, content: bytes) -> tuple[float, float]:
    """Wall time and overhead of one run, in seconds."""
    run = versions.submit_version(seller, upload_version(seller, listing, content))
    wait_until("the run ends", lambda: Run.objects.filter(pk=run.pk).exclude(state=RunState.ACTIVE).exists(), 600)
    run.refresh_from_db()
    assert run.state == RunState.PASSED
    assert run.finished_at is not None
    wall = (run.finished_at - run.created_at).total_seconds()
    return wall, wall - outside(run)


@pytest.mark.timeout(3600)
def bench_overhead_and_by_hand(
    running: Stack, seller: Any, algorithm: Listing, engine: Engine, registry: Registry, tmp_path: Path, say: Say
) -> None:
    labels = attempt_labels(f"bench-{uuid.uuid4()}", "bench", uuid.uuid4())
    hand = ByHand(engine, registry, labels)
    for kind in ("cold", "warm"):
        walls, overheads, hands = [], [], []
        warm = sample_context(tmp_path, f"warm-{uuid.uuid4().hex[:8]}")
        if kind == "warm":
            slipway(seller, algorithm, packed(warm))
            hand.run(warm)
        for _ in range(TIMES):
            context = warm if kind == "warm" else sample_context(tmp_path, uuid.uuid4().hex)
            wall, overhead = slipway(seller, algorithm, packed(context))
            other = warm if kind == "warm" else sample_context(tmp_path, uuid.uuid4().hex)
            walls, overheads, hands = [*walls, wall], [*overheads, overhead], [*hands, hand.run(other)]
        share = [100 * over / wall for over, wall in zip(overheads, walls, strict=True)]
        ratio = [wall / by_hand for wall, by_hand in zip(walls, hands, strict=True)]
        say(f"\nSample algorithm, {kind} (seconds, median of {TIMES})")
        say(f"  Slipway, submit to pushed      {middle(walls)}")
        say(f"  by hand, the same operations   {middle(hands)}")
        say(f"  Slipway / by hand              {middle(ratio)}")
        say(f"  Slipway's own overhead         {middle(overheads)}")
        say(f"  overhead in % of wall time     {middle(share)}")
        target = statistics.median(share) <= 5 if kind == "cold" else statistics.median(overheads) <= 2
        say(f"  target ({'5 %' if kind == 'cold' else '2 s'}): {'met' if target else 'missed'}")
    engine.remove(engine.owned(labels["slipway.instance"]))
