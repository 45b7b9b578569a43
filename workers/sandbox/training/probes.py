"""More training runs, each for one question. They are made only after a training that succeeded, and each is bounded by
what that took; what they find is theirs alone, so that the verdict on the training itself stays what it was."""

from __future__ import annotations

from collections.abc import Iterable

from listings.reports import CheckOutcome
from listings.spec.models import TrainingTest, VersionSpec
from workers.sandbox.holder_client import Holder
from workers.sandbox.network import Network
from workers.sandbox.phase import Bench, Outcome
from workers.sandbox.resources.profile import Profile
from workers.sandbox.samples import Samples
from workers.sandbox.subject import Subject
from workers.sandbox.training import patches, piping, stopping, tuning, values
from workers.sandbox.training.job import Setup, run_job, to_end

EMPTY = "TEST-TRAIN-EMPTY"


def run(
    bench: Bench, spec: VersionSpec, samples: Samples, profiles: dict[str, Profile], outcomes: Iterable[Outcome]
) -> list[Outcome]:
    """Whatever the spec gives reason to ask, after the outcomes so far; none without a good training among them.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    decided = next((o for o in outcomes if o.phase == "train" and o.network is Network.REFUSE), None)
    if spec.training is None or decided is None or decided.problem or not decided.facts:
        return []
    if bench.network is not Network.REFUSE:
        return []
    test = spec.tests.training or TrainingTest()
    setup = Setup(spec.training, test, spec.training_input_mode() or "File", samples, profiles["train"])
    seconds = float(decided.facts["seconds"])
    single = [
        piping.run(bench, setup, seconds),
        tuning.run(bench, setup, seconds),
        stopping.run(bench, setup, decided),
        _without_a_file(bench, setup, seconds),
    ]
    return [outcome for outcome in single if outcome is not None] + values.run(bench, setup, seconds)


def _without_a_file(bench: Bench, setup: Setup, seconds: float) -> Outcome | None:
    """Train with a channel that ShardedByS3Key has left without a file, which can happen with several hosts only."""
    required = [channel.Name for channel in setup.training.TrainingChannels if channel.IsRequired]
    names = sorted(setup.test.channels, key=lambda name: name not in required)
    if not names or not setup.training.SupportsDistributedTraining:
        return None
    outcome = Outcome("train-empty")
    bench.log.section(f"Training with an empty channel: {names[0]}")

    def live(holder: Holder, subject: Subject) -> None:
        ended = to_end(bench, outcome, holder, subject, 2 * seconds + values.MORE_SECONDS)
        useful = ended.succeeded or (ended.exit is not None and ended.failure)
        outcome.add(
            CheckOutcome.PASS if useful else CheckOutcome.WARN, EMPTY,
            evidence=ended.evidence if not ended.succeeded else (), name=names[0], how=ended.how,
        )  # fmt: skip
        patches.attach(outcome, patches.FAILURE_FILE)

    run_job(bench, outcome, setup, setup.job().with_empty(names[0]), live)
    return outcome
