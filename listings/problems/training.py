"""Problems of the isolated training run."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_TRAINING = "SageMaker developer guide, How Amazon SageMaker Runs Your Training Image"
_OUTPUT = "SageMaker developer guide, How Amazon SageMaker Processes Training Output"
_SLIPWAY = "Slipway, docs/twin.md"


def _seller(
    code: str, title: str, cause: str, remedy: str, source: str, holds: str = "",
    action: NextAction = NextAction.FIX_AND_REBUILD,
) -> Problem:  # fmt: skip
    return Problem(code, Owner.SELLER, title, cause, remedy, action, source, holds)


PROBLEMS: tuple[Problem, ...] = (
    _seller(
        "TEST-TRAIN-EXIT",
        "Training failed",
        "The container started with the argument train ended with exit code {exit_code}: {meaning}. "
        "SageMaker marks a training job as failed on any exit code but 0.",
        "Read the last lines of the log, or the file /opt/ml/output/failure, fix the error, and end with 0.",
        _TRAINING,
        "Training ended with exit code 0.",
    ),
    _seller(
        "TEST-TRAIN-MODEL",
        "Training left no model",
        "Training ended with exit code 0, but /opt/ml/model holds no file, so SageMaker would upload an empty archive.",
        "Write the trained model into /opt/ml/model before the program ends.",
        _OUTPUT,
        "Training left {files} model files, {bytes} bytes packed.",
    ),
    _seller(
        "TEST-TRAIN-METRICS",
        "A metric was never printed",
        "The regular expression of {missing} matched no line of the training log with a number.",
        "Print the metric in the form that its Regex expects, or correct the Regex in MetricDefinitions. "
        "The number must be the first group.",
        "SageMaker developer guide, Define Training Metrics",
        "All {count} declared metrics were found in the training log.",
    ),
    _seller(
        "TEST-METRICS-SLOW",
        "A metric expression takes too long",
        "The Regex of {name} was not done with this log after 20 seconds, so no metric was read.",
        "Avoid nested repetition such as (a+)+ in the Regex; anchor it on the words around the number.",
        _SLIPWAY,
    ),
    _seller(
        "TEST-TRAIN-TIMEOUT",
        "Training took longer than allowed",
        "Training had not ended after {limit} seconds and was stopped.",
        "Use smaller samples or fewer iterations in tests.training, raise its timeout_seconds, or look in the log "
        "for what the program waits for.",
        "slipway.yaml, tests.training.timeout_seconds",
    ),
    _seller(
        "TEST-TRAIN-IDLE",
        "Training stood still",
        "The container printed nothing and used no CPU for {limit} seconds, and was stopped.",
        "Look in the log for what the program waits for: often a call to the network, a lock, or missing input.",
        _SLIPWAY,
    ),
)
