"""The training run: ``train`` as SageMaker starts it, and what it must leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from docker.types import Mount

from listings import blobs
from listings.problems import ProblemError
from listings.reports import CheckOutcome, Evidence
from listings.spec.models import Training, TrainingTest
from workers.sandbox.holder_client import Holder
from workers.sandbox.model_files import Limits, collect
from workers.sandbox.phase import (
    ML,
    MODEL,
    Bench,
    Outcome,
    containers,
    judge_memory,
    meaning_of,
    send_archive,
    until_stopped,
)
from workers.sandbox.resources.profile import Profile
from workers.sandbox.samples import Samples
from workers.sandbox.subject import CANCEL_GRACE_SECONDS, Exit, Subject
from workers.sandbox.training import metrics
from workers.sandbox.training.layout import job_input, write_training_tar

FAILURE_CHARACTERS = 1024  # so much of the file becomes the job's FailureReason


def run(
    bench: Bench, training: Training, test: TrainingTest, mode: str, samples: Samples, profile: Profile
) -> tuple[Outcome, Path | None]:
    """Train once. The outcome, and the ``model.tar.gz`` in the work directory if there is a model.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    outcome = Outcome("train")
    bench.log.section("Training")
    with containers(bench, outcome, profile, ML) as (holder, subject, volume):
        job = job_input(training, test, mode)
        packed = bench.workdir / "training.tar"
        write_training_tar(packed, job, test, samples)
        send_archive(holder, ML, packed, bench.stop)
        mount = Mount(target=ML, source=volume, type="volume", no_copy=True)
        subject.create(bench.image, "train", bench.labels, [mount], _environment(bench))
        bench.log.line(f"train: {len(job.hyperparameters)} hyperparameters, {len(job.channels)} channels", "slipway")
        subject.start("train")
        ended = _until_end(subject, float(test.timeout_seconds))
        return outcome, _judge(bench, outcome, training, holder, subject, ended)
    return outcome, None


def _environment(bench: Bench) -> dict[str, str]:
    job = f"slipway-{bench.name}"[:63]
    arn = f"arn:aws:sagemaker:{settings.SLIPWAY.aws_region}:000000000000:training-job/{job}"
    return {"TRAINING_JOB_NAME": job, "TRAINING_JOB_ARN": arn}


def _until_end(subject: Subject, limit: float) -> Exit:
    """Raises ProblemError TEST-TRAIN-TIMEOUT, TEST-TRAIN-IDLE, after stopping the container."""
    idle_limit = settings.SLIPWAY.idle_timeout_seconds
    while (ended := subject.tick()) is None:
        if subject.seconds > limit:
            subject.terminate(CANCEL_GRACE_SECONDS)
            raise ProblemError("TEST-TRAIN-TIMEOUT", evidence=subject.last_lines(), limit=f"{limit:g}")
        if subject.idle_seconds() > idle_limit:
            subject.terminate(CANCEL_GRACE_SECONDS)
            raise ProblemError("TEST-TRAIN-IDLE", evidence=subject.last_lines(), limit=f"{idle_limit:g}")
    return ended


def _judge(
    bench: Bench, outcome: Outcome, training: Training, holder: Holder, subject: Subject, ended: Exit
) -> Path | None:
    facts: dict[str, Any] = {"exit_code": ended.code, "seconds": ended.seconds, "model_bytes": 0, "metrics": {}}
    outcome.facts = facts
    bench.log.line(f"train ended with exit code {ended.code} after {ended.seconds:g} s", "slipway")
    failure = bench.engine.get_file(holder.container, f"{ML}/output/failure", 4 * FAILURE_CHARACTERS)
    facts["failure"] = (failure or b"").decode("utf-8", "replace")[:FAILURE_CHARACTERS]
    out_of_memory = judge_memory(outcome, subject, ended)
    if ended.code != 0:
        if not out_of_memory:
            said = (Evidence(facts["failure"], label="/opt/ml/output/failure"),) if facts["failure"] else ()
            outcome.failed(
                "TEST-TRAIN-EXIT", said + subject.last_lines(), exit_code=ended.code, meaning=meaning_of(ended.code)
            )
        return None
    outcome.passed("TEST-TRAIN-EXIT", exit_code=0, seconds=ended.seconds)
    _judge_metrics(outcome, training, subject)
    return _collect(bench, outcome, holder, subject)


def _collect(bench: Bench, outcome: Outcome, holder: Holder, subject: Subject) -> Path | None:
    profile = subject.profile
    found = holder.call("measure", bench.stop, path=MODEL, max_bytes=profile.disk_bytes, max_entries=profile.inodes)
    if not found["entries"]:
        outcome.failed("TEST-TRAIN-MODEL", subject.last_lines(5))
        return None
    target = bench.workdir / "model.tar.gz"
    with target.open("wb") as packed, bench.engine.archive(str(holder.container.id), MODEL) as chunks:
        contents = collect(until_stopped(chunks, bench.stop), packed, Limits(profile.disk_bytes, profile.inodes))
    for name in contents.left_out[:20]:
        bench.log.line(f"left out of model.tar.gz: {name}", "slipway")
    if not contents.files:
        outcome.failed("TEST-TRAIN-MODEL", subject.last_lines(5))
        return None
    with target.open("rb") as packed:
        blob = blobs.store(packed)
    assert outcome.facts is not None
    outcome.facts |= {"model_bytes": blob.size, "model_sha256": blob.sha256, "model_files": contents.files}
    outcome.passed("TEST-TRAIN-MODEL", files=contents.files, bytes=blob.size)
    bench.log.line(f"model.tar.gz: {contents.files} files, {blob.size} bytes, sha256 {blob.sha256}", "slipway")
    return target


def _judge_metrics(outcome: Outcome, training: Training, subject: Subject) -> None:
    definitions = [(metric.Name, metric.Regex) for metric in training.MetricDefinitions]
    if not definitions:
        return
    try:
        found = metrics.extract(definitions, subject.pump.kept())
    except metrics.MetricsTimeout as error:
        outcome.warned("TEST-METRICS-SLOW", name=str(error))
        return
    assert outcome.facts is not None
    outcome.facts["metrics"] = found
    missing = [name for name, values in found.items() if not values]
    texts = tuple(Evidence(f"{name}: {', '.join(f'{v:g}' for v in values[-5:])}", label="metric")
                  for name, values in found.items() if values)  # fmt: skip
    outcome.add(
        CheckOutcome.WARN if missing else CheckOutcome.PASS, "TEST-TRAIN-METRICS",
        evidence=texts, missing=", ".join(missing), count=len(found),
    )  # fmt: skip
