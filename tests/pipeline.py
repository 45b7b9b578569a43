"""The pipeline on real parts in the test's own process: planner, leases, steps, engine and registry, without Celery."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from listings import problems
from listings.models import Attempt, Instance, Kind, Listing, Run, Step, Team, UploadPurpose
from listings.problems import Owner
from listings.services import listings as listing_service
from listings.services import runs, versions
from listings.states import RUN_STEPS, AttemptState, RunState, StepState
from tests.registry_fixtures import Registry
from workers import execution
from workers.engine import Engine

TRAIN = "#!/bin/sh\necho loss=0.5\necho learned > /opt/ml/model/model.txt\n"
DOCKERFILE = "FROM slipway.local/busybox:1\nCOPY train /bin/train\n"
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
#: An algorithm that builds and trains within seconds.
GOOD: Mapping[str, str] = {"Dockerfile": DOCKERFILE, "train": TRAIN, "slipway.yaml": SPEC, "train.csv": "1,2\n"}


def packed(files: Mapping[str, str]) -> bytes:
    """A .tar.gz of text files, all executable."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o755
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@dataclass
class Pipeline:
    """Submits sources of one listing as its next versions and runs their steps, in order, here."""

    seller: Any
    team: Team
    listing: Listing
    settings: Any

    def configure(self, **values: Any) -> None:
        self.settings.SLIPWAY = self.settings.SLIPWAY.model_copy(update=values)

    def submit(self, source: bytes, name: str = "context.tar.gz") -> Run:
        upload = versions.store_upload(
            self.seller, self.team, UploadPurpose.SOURCE, name, io.BytesIO(source), len(source)
        )
        number = f"1.0.{self.listing.versions.count()}"
        return versions.submit_version(
            self.seller, versions.create_version(self.seller, self.listing, number=number, source=upload)
        )

    def drive(self, run: Run, last: str = "push") -> Run:
        """Run what is queued, up to the step ``last``."""
        wanted = RUN_STEPS[: RUN_STEPS.index(last) + 1]  # type: ignore[arg-type]
        queued = Attempt.objects.filter(step__run=run, step__name__in=wanted, state=AttemptState.QUEUED)
        while (attempt := queued.order_by("step__position").first()) is not None:
            execution.run_attempt(attempt.pk)
        run.refresh_from_db()
        return run

    def retry(self, run: Run, step: str) -> Run:
        runs.retry_step(self.seller, run.steps.get(name=step))
        return self.drive(run, step)


def latest(run: Run, step: str) -> Attempt:
    return Attempt.objects.filter(step__run=run, step__name=step).latest("number")


def assert_ended(run: Run, step: str, code: str) -> Attempt:
    """The step ended on ``code``: failed if it is the seller's, errored if not; the run with it, the rest blocked."""
    problems_met = list(
        Attempt.objects.filter(step__run=run).values_list("step__name", "problem_code", "problem_params")
    )
    assert (step, code) in [(name, met) for name, met, _ in problems_met], problems_met
    attempt = latest(run, step)
    assert attempt.problem_code == code, (attempt.problem_code, attempt.problem_params, attempt.problem_evidence)
    ours = problems.get(code).owner is not Owner.SELLER
    assert attempt.state == (AttemptState.ERRORED if ours else AttemptState.FAILED)
    assert run.state == RunState.FAILED
    later = Step.objects.filter(run=run, position__gt=RUN_STEPS.index(step))  # type: ignore[arg-type]
    assert {each.state for each in later} <= {StepState.BLOCKED, StepState.SKIPPED, StepState.SUCCEEDED}
    assert attempt.log is not None
    return attempt


def assert_succeeded(run: Run, step: str) -> None:
    attempt = latest(run, step)
    assert attempt.state == AttemptState.SUCCEEDED, (attempt.problem_code, attempt.problem_evidence)


@pytest.fixture
def pipeline(
    transactional_db: None, seller: Any, team: Team, engine: Engine, registry: Registry, tmp_path: Path, settings: Any
) -> Iterator[Pipeline]:
    listing = listing_service.create_listing(seller, team, kind=Kind.ALGORITHM, name="Bad input", product_id="")
    made = Pipeline(seller, team, listing, settings)
    made.configure(
        data_dir=tmp_path / "data",
        staging_registry_engine=registry.host,
        staging_registry_worker=registry.host,
        staging_username=registry.username,
        staging_password=SecretStr(registry.password),
    )
    yield made
    instance = str(Instance.current_id())
    assert [thing for thing in engine.owned(instance) if thing.kind == "container"] == []
    engine.remove(engine.owned(instance))
