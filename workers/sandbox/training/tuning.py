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


def is_worth_a_run(training: Training, seconds: float) -> bool:
    """Whether it can be tuned, and takes no longer than one more run may."""
    return bool(objective(training)) and not is_long(seconds)


def limit(seconds: float) -> float:
    return 2 * seconds + MORE_SECONDS


def run(bench: Bench, setup: Setup, seconds: float) -> Outcome:
    """Train once more as a tuning job would. ``seconds``: how long the verdict run took.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    outcome = Outcome("train-tuning")
    bench.log.section(f"Training with {TUNING_PARAMETER}")

    def live(holder: Holder, subject: Subject) -> None:
        ended = to_end(bench, outcome, holder, subject, limit(seconds))
        if ended.exit is None:
            # Past twice its time: that tells of a busy host as well.
            outcome.add(CheckOutcome.SKIP, CODE, evidence=ended.evidence, how=ended.how)
        else:
            judge(outcome, ended)

    run_job(bench, outcome, setup, setup.job().with_values({TUNING_PARAMETER: objective(setup.training)}), live)
    return outcome


def judge(outcome: Outcome, ended: Ended | None) -> None:
    """``ended`` None: it was still at work when it was stopped."""
    if ended is None or ended.succeeded:
        outcome.passed(CODE)
    else:
        outcome.failed(CODE, ended.evidence, how=ended.how)
        patches.attach(outcome, patches.OWN_NAMES)
