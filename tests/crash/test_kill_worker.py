"""``kill -9`` of the engine worker in the middle of a step: one right end, nothing left, nothing twice."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from listings.models import Attempt, Kind, Run, Team, UploadPurpose
from listings.services import listings as listing_service
from listings.services import versions
from listings.states import RunState
from tests.aws_fixtures import Standin
from tests.registry_fixtures import Registry
from tests.stack import Stack, ours, wait_until
from workers.engine import Engine, attempt_labels

DOCKERFILE = """\
FROM slipway.local/busybox:1
COPY --chmod=0755 train /bin/train
RUN dd if=/dev/urandom of=/ballast bs=1M count={ballast} && sleep {build}
"""
TRAIN = """\
#!/bin/sh
trap 'exit 143' TERM
sleep {train} & wait $!
echo loss=0.5
echo learned > /opt/ml/model/model.txt
"""
SPEC = """\
slipway: 1
kind: Algorithm
training:
  SupportedTrainingInstanceTypes: [ml.m5.large]
  TrainingChannels:
    - {Name: train, SupportedContentTypes: [text/csv], SupportedInputModes: [File]}
tests:
  training:
    instance_type: ml.m5.large
    channels: {train: {path: train.csv, content_type: text/csv}}
"""


def context_with(*, build: int = 0, train: int = 0, ballast: int = 1) -> bytes:
    """A build context whose build and training last that many seconds, with ``ballast`` MiB of image."""
    files = {
        "Dockerfile": DOCKERFILE.format(build=build, ballast=ballast).replace("--chmod=0755 ", ""),
        "train": TRAIN.format(train=train),
        "slipway.yaml": SPEC,
        "train.csv": "1,2\n",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755 if name == "train" else 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def aws_team(seller: Any, team: Team, standin: Standin) -> Team:
    """The team in an account of its own, with its bucket."""
    team.aws_account_id = standin.account
    for name in ("aws_role_arn", "validation_role_arn", "access_role_arn"):
        setattr(team, name, f"arn:aws:iam::{standin.account}:role/slipway")
    team.s3_bucket = f"bucket-{standin.account}"
    team.save()
    bucket = {"account": standin.account, "region": team.aws_region, "name": team.s3_bucket}
    requests.post(f"{standin.url}/_standin/buckets", json=bucket, timeout=10).raise_for_status()
    return team


@pytest.fixture
def neighbour(engine: Engine) -> Iterator[Any]:
    """A container of another Slipway on the same engine."""
    labels = attempt_labels(str(uuid.uuid4()), "elsewhere", uuid.uuid4())
    container = engine.run_container("slipway.local/busybox:1", labels=labels, command=["sleep", "600"])
    yield container
    engine.remove_container(container.id)


def submit(seller: Any, team: Team, name: str, context: bytes) -> Run:
    listing = listing_service.create_listing(seller, team, kind=Kind.ALGORITHM, name=name, product_id="")
    source = versions.store_upload(
        seller, team, UploadPurpose.SOURCE, "context.tar.gz", io.BytesIO(context), len(context)
    )
    return versions.submit_version(seller, versions.create_version(seller, listing, number="1.0.0", source=source))


def running(run: Run, step: str) -> Attempt | None:
    return Attempt.objects.filter(step__run=run, step__name=step, state="running").first()


def has_logged(data_dir: Path, attempt: Attempt) -> bool:
    """Whether the attempt's worker has written a line, so that its death is one in the middle of the step."""
    spools = data_dir.glob(f"spool/*/{attempt.pk}/*")
    return any(b"\n[" in spool.read_bytes() for spool in spools if spool.is_file())


def ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.state != RunState.ACTIVE


CASES = {
    "build": {"build": 6},
    "test": {"train": 6},
    "push": {"ballast": 96},
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("step", CASES)
def test_a_killed_worker_costs_one_attempt_and_nothing_else(
    step: str,
    stack: Stack,
    engine: Engine,
    seller: Any,
    aws_team: Team,
    registry: Registry,
    neighbour: Any,
    data_dir: Path,
) -> None:
    stack.control_worker()
    stack.beat()
    worker = stack.engine_worker()
    run = submit(seller, aws_team, f"Killed {step}", context_with(**CASES[step]))
    first = wait_until(f"{step} runs", lambda: running(run, step), every=0.02)
    wait_until(f"{step} has begun to log", lambda: has_logged(data_dir, first), every=0.02)
    if step in ("build", "test"):
        wait_until(f"{step} has something in the engine", lambda: len(ours(engine)) > 0)
    stack.kill(worker)
    stack.engine_worker()
    wait_until("the run ends", lambda: ended(run))

    assert run.state == RunState.PASSED, stack.log("engine")[-3000:]
    attempts = list(Attempt.objects.filter(step__run=run, step__name=step).order_by("number"))
    assert [attempt.state for attempt in attempts] == ["lost", "succeeded"]
    assert attempts[0].pk == first.pk
    assert attempts[0].problem_code == "PLATFORM-WORKER-LOST"
    others = Attempt.objects.filter(step__run=run).exclude(step__name=step)
    assert {attempt.state for attempt in others} == {"succeeded"}
    assert others.count() == 5

    wait_until("nothing of ours is left in the engine", lambda: not ours(engine), 30)
    pushed = Attempt.objects.get(step__run=run, step__name="push", state="succeeded").facts
    tags = requests.get(
        f"http://{registry.host}/v2/acme/killed-{step}/tags/list", auth=registry.auth, timeout=10
    ).json()["tags"]
    assert tags == [pushed["tag"]]
    neighbour.reload()
    assert neighbour.status == "running"
    assert neighbour.attrs["RestartCount"] == 0
    wait_until("the lost attempt's log is kept", lambda: Attempt.objects.get(pk=first.pk).log_id is not None, 30)
