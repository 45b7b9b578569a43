"""The training run that decides: ``train`` as SageMaker starts it, and what it must leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from listings import blobs
from listings.reports import CheckOutcome, Evidence
from listings.spec.models import Training, TrainingTest
from workers.sandbox.exits import meaning_of
from workers.sandbox.holder_client import Holder
from workers.sandbox.model_files import Limits, collect
from workers.sandbox.network import Network
from workers.sandbox.phase import ML, MODEL, Bench, Outcome, judge_memory
from workers.sandbox.resources.profile import Profile
from workers.sandbox.samples import Samples
from workers.sandbox.sending import until_stopped
from workers.sandbox.subject import Exit, Subject
from workers.sandbox.training import metrics
from workers.sandbox.training.job import FAILURE, Setup, mark_end, output_facts, read_failure, run_job, until_end
from workers.sandbox.training.layout import PIPE
from workers.sandbox.training.piping import judge_pipes

OUTPUT = f"{ML}/output/data"
LISTED = 200


def run(
    bench: Bench, training: Training, test: TrainingTest, mode: str, samples: Samples, profile: Profile
) -> tuple[Outcome, Path | None]:
    """Train once. The outcome, and the ``model.tar.gz`` in the work directory if there is a model.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    outcome = Outcome("train", bench.network)
    bench.section("Training")
    setup = Setup(training, test, mode, samples, profile)

    def live(holder: Holder, subject: Subject) -> Path | None:
        ended = until_end(subject, float(test.timeout_seconds))
        return _judge(bench, outcome, setup, holder, subject, ended)

    return outcome, run_job(bench, outcome, setup, setup.job(), live)


def _judge(bench: Bench, outcome: Outcome, setup: Setup, holder: Holder, subject: Subject, ended: Exit) -> Path | None:
    facts: dict[str, Any] = {
        "exit_code": ended.code, "seconds": ended.seconds, "failure": read_failure(bench, holder), "model_bytes": 0,
        "metrics": {}, "metric_series": {}, "output": output_facts(subject.pump),
    }  # fmt: skip
    outcome.facts = facts
    mark_end(outcome, subject, ended)
    bench.log.line(f"train ended with exit code {ended.code} after {ended.seconds:g} s", "slipway")
    _list_output(bench, facts, holder, subject)
    out_of_memory = judge_memory(outcome, subject, ended)
    if ended.code != 0:
        if not out_of_memory:
            said = (Evidence(facts["failure"], label=FAILURE),) if facts["failure"] else ()
            outcome.failed(
                "TEST-TRAIN-EXIT", said + subject.last_lines(), exit_code=ended.code, meaning=meaning_of(ended.code)
            )
        return None
    outcome.passed("TEST-TRAIN-EXIT", exit_code=0, seconds=ended.seconds)
    if bench.network is not Network.REFUSE:
        return None  # the model is the verdict run's
    _judge_metrics(outcome, setup.training, subject)
    if setup.mode == PIPE:
        judge_pipes(outcome, setup.test.channels, holder, subject)
    return _collect(bench, outcome, holder, subject)


def _list_output(bench: Bench, facts: dict[str, Any], holder: Holder, subject: Subject) -> None:
    """What would become ``output.tar.gz``."""
    found = holder.call("contents", bench.stop, path=OUTPUT, most_entries=subject.profile.inodes, listed=LISTED)
    facts |= {"output_files": found["files"], "output_bytes": found["bytes"], "output_listing": found["listing"]}
    if found["files"]:
        bench.log.line(f"/opt/ml/output/data: {found['files']} files, {found['bytes']} bytes", "slipway")


def _collect(bench: Bench, outcome: Outcome, holder: Holder, subject: Subject) -> Path | None:
    profile = subject.profile
    found = holder.call("contents", bench.stop, path=MODEL, most_entries=profile.inodes, listed=LISTED)
    if not found["files"]:
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
    outcome.facts |= {
        "model_bytes": blob.size, "model_sha256": blob.sha256, "model_files": contents.files,
        "model_unpacked_bytes": contents.bytes, "model_listing": found["listing"],
    }  # fmt: skip
    outcome.passed("TEST-TRAIN-MODEL", files=contents.files, bytes=blob.size)
    odd = tuple(Evidence(text, label="left out") for text in contents.left_out[:20])
    outcome.add(
        CheckOutcome.WARN if odd else CheckOutcome.PASS, "TEST-MODEL-FILES",
        evidence=odd, count=len(contents.left_out), files=contents.files,
    )  # fmt: skip
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
    seconds = subject.pump.kept_seconds()
    assert outcome.facts is not None
    outcome.facts["metrics"] = {name: reading.values for name, reading in found.items()}
    outcome.facts["metric_series"] = {
        name: [[round(seconds[index], 3), value] for index, value in reading.points] for name, reading in found.items()
    }
    missing = [name for name, reading in found.items() if not reading.values and not reading.not_finite]
    texts = tuple(Evidence(f"{name}: {', '.join(f'{v:g}' for v in reading.values[-5:])}", label="metric")
                  for name, reading in found.items() if reading.values)  # fmt: skip
    outcome.add(
        CheckOutcome.WARN if missing else CheckOutcome.PASS, "TEST-TRAIN-METRICS",
        evidence=texts, missing=", ".join(missing), count=len(found),
    )  # fmt: skip
    odd = {name: reading.not_finite for name, reading in found.items() if reading.not_finite}
    if odd:
        outcome.warned("TEST-METRICS-NAN", names=", ".join(odd), count=sum(odd.values()))
    _judge_objective(outcome, training, found)


def _judge_objective(outcome: Outcome, training: Training, found: dict[str, metrics.Reading]) -> None:
    """Automatic tuning compares jobs by the last value of its objective metric."""
    names = list(dict.fromkeys(metric.MetricName for metric in training.SupportedTuningJobObjectiveMetrics))
    if not names:
        return
    missing = [name for name in names if name not in found or not found[name].values]
    last = tuple(Evidence(f"{name}: {found[name].values[-1]:g}", label="final value")
                 for name in names if name not in missing)  # fmt: skip
    outcome.add(
        CheckOutcome.WARN if missing else CheckOutcome.PASS, "TEST-METRICS-OBJECTIVE",
        evidence=last, missing=", ".join(missing), names=", ".join(names),
    )  # fmt: skip
