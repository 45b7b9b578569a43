"""The hyperparameter that a tuning job adds on its own: a parser that refuses what it does not know ends such a job."""

from __future__ import annotations

from listings.reports import CheckOutcome
from listings.spec.models import Training
from workers.sandbox.holder_client import Holder
from workers.sandbox.phase import Bench, Outcome
from workers.sandbox.subject import Subject
from workers.sandbox.training import patches
from workers.sandbox.training.job import Ended, Setup, run_job, to_end
from workers.sandbox.training.layout import TUNING_PARAMETER

CODE = "TEST-TRAIN-TUNING"
#: Longer trainings are not run once more for this: the one that is stopped in its middle tries it.
LONG_SECONDS = 60.0
MORE_SECONDS = 30.0


def objective(training: Training) -> str:
    """The metric that a tuning job would name; "" for an algorithm that cannot be tuned."""
    if training.SupportedTuningJobObjectiveMetrics:
        return training.SupportedTuningJobObjectiveMetrics[0].MetricName
    if any(parameter.IsTunable for parameter in training.SupportedHyperParameters):
        return training.MetricDefinitions[0].Name if training.MetricDefinitions else "objective"
    return ""


def is_long(seconds: float) -> bool:
    return seconds > LONG_SECONDS


def run(bench: Bench, setup: Setup, seconds: float) -> Outcome | None:
    """Train once more as a tuning job would. ``seconds``: how long the verdict run took. None where it cannot be tuned,
    or takes too long for one more run.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    name = objective(setup.training)
    if not name or is_long(seconds):
        return None
    outcome = Outcome("train-tuning")
    bench.log.section(f"Training with {TUNING_PARAMETER}")

    def live(holder: Holder, subject: Subject) -> None:
        ended = to_end(bench, outcome, holder, subject, 2 * seconds + MORE_SECONDS)
        if ended.exit is None:
            # Past twice its time: that tells of a busy host as well.
            outcome.add(CheckOutcome.SKIP, CODE, evidence=ended.evidence, how=ended.how)
        else:
            judge(outcome, ended)

    run_job(bench, outcome, setup, setup.job().with_values({TUNING_PARAMETER: name}), live)
    return outcome


def judge(outcome: Outcome, ended: Ended | None) -> None:
    """``ended`` None: it was still at work when it was stopped."""
    if ended is None or ended.succeeded:
        outcome.passed(CODE)
    else:
        outcome.failed(CODE, ended.evidence, how=ended.how)
        patches.attach(outcome, patches.OWN_NAMES)
