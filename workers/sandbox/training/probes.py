"""More training runs, each for one question. They are made only after a training that succeeded, and each is bounded by
what that took; what they find is theirs alone, so that the verdict on the training itself stays what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from listings.reports import CheckOutcome, Evidence
from listings.spec.models import TrainingTest, VersionSpec
from workers.sandbox.holder_client import Holder
from workers.sandbox.network import Network
from workers.sandbox.phase import Bench, Outcome
from workers.sandbox.plan import NO_TIME
from workers.sandbox.resources.profile import Profile
from workers.sandbox.samples import Samples
from workers.sandbox.subject import Subject
from workers.sandbox.training import fast_file, patches, piping, stopping, tuning, values
from workers.sandbox.training.job import Setup, run_job, to_end

EMPTY = "TEST-TRAIN-EMPTY"


def run(
    bench: Bench, spec: VersionSpec, samples: Samples, profiles: dict[str, Profile], outcomes: Iterable[Outcome],
    has_time: Callable[[float], bool],
) -> list[Outcome]:  # fmt: skip
    """Whatever the spec gives reason to ask, after the outcomes so far; none without a good training among them.

    ``has_time``: whether the step has the time for a run of so many seconds. What it has not is skipped, which is said
    beside the checks of the training that decided.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    decided = next((o for o in outcomes if o.phase == "train" and o.network is Network.REFUSE), None)
    if spec.training is None or decided is None or decided.problem or not decided.facts:
        return []
    if bench.network is not Network.REFUSE:
        return []
    test = spec.tests.training or TrainingTest()
    setup = Setup(spec.training, test, spec.training_input_mode() or "File", samples, profiles["train"])
    found: list[Outcome] = []
    for question in _questions(bench, setup, decided, has_time):
        if has_time(question.longest):
            found += question.ask()
            continue
        for code, words in question.unasked.items():
            bench.log.line(f"{code} is left out: {NO_TIME}", "slipway")
            decided.add(CheckOutcome.SKIP, code, evidence=(Evidence(NO_TIME, label="not established"),), **words)
    return found


@dataclass(frozen=True, slots=True)
class Question:
    """A further run. ``longest``: the seconds that it takes at worst; ``unasked``: the checks that are open where it is
    not made, with their words."""

    longest: float
    ask: Callable[[], list[Outcome]]
    unasked: dict[str, dict[str, str]]


def _questions(bench: Bench, setup: Setup, decided: Outcome, has_time: Callable[[float], bool]) -> Iterator[Question]:
    """Those that the spec gives reason to ask, in their order."""
    seconds = float((decided.facts or {})["seconds"])
    how = f"was not run, as {NO_TIME}"
    reason = {"reason": f"it {how}"}
    if names := piping.channels(setup):
        unasked = {piping.CODE: {"names": ", ".join(names), **reason}}
        yield Question(piping.limit(setup, seconds), lambda: [piping.run(bench, setup, seconds)], unasked)
    if names := fast_file.channels(setup):
        unasked = {fast_file.CODE: {"names": ", ".join(names), **reason}}
        yield Question(piping.limit(setup, seconds), lambda: [fast_file.run(bench, setup, seconds)], unasked)
    if tuning.is_worth_a_run(setup.training, seconds):
        unasked = {tuning.CODE: {"how": how}}
        yield Question(tuning.limit(seconds), lambda: [tuning.run(bench, setup, seconds)], unasked)
    if stopping.is_worth_a_run(decided):
        unasked = {stopping.CODE: reason}
        if tuning.is_long(seconds) and tuning.objective(setup.training):
            unasked[tuning.CODE] = {"how": how}
        yield Question(stopping.limit(seconds), lambda: [stopping.run(bench, setup, decided)], unasked)
    if name := _channel_to_empty(setup):
        unasked = {EMPTY: {"name": name, "how": how}}
        yield Question(tuning.limit(seconds), lambda: [_without_a_file(bench, setup, name, seconds)], unasked)
    if values.bad_values(setup.training.SupportedHyperParameters):
        unasked = {values.ACCEPTED: {"values": "nothing that was tried"}}
        yield Question(values.limit(seconds), lambda: values.run(bench, setup, seconds, has_time), unasked)


def _channel_to_empty(setup: Setup) -> str:
    """A channel that ShardedByS3Key can leave without a file, which happens with several hosts only; "" for none."""
    required = [channel.Name for channel in setup.training.TrainingChannels if channel.IsRequired]
    names = sorted(setup.test.channels, key=lambda name: name not in required)
    return names[0] if names and setup.training.SupportsDistributedTraining else ""


def _without_a_file(bench: Bench, setup: Setup, name: str, seconds: float) -> Outcome:
    outcome = Outcome("train-empty")
    bench.log.section(f"Training with an empty channel: {name}")

    def live(holder: Holder, subject: Subject) -> None:
        ended = to_end(bench, outcome, holder, subject, tuning.limit(seconds))
        useful = ended.succeeded or (ended.exit is not None and ended.failure)
        outcome.add(
            CheckOutcome.PASS if useful else CheckOutcome.WARN, EMPTY,
            evidence=ended.evidence if not ended.succeeded else (), name=name, how=ended.how,
        )  # fmt: skip
        patches.attach(outcome, patches.FAILURE_FILE)

    run_job(bench, outcome, setup, setup.job().with_empty(name), live)
    return outcome
