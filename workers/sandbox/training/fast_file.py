"""FastFile mode: whether training leaves its channels as they are, where they say that they can be such a mount."""

from __future__ import annotations

from listings.reports import CheckOutcome
from workers.sandbox.holder_client import Holder
from workers.sandbox.phase import MODEL, Bench, Outcome
from workers.sandbox.subject import Subject
from workers.sandbox.training import piping
from workers.sandbox.training.job import Ended, Setup, run_job, to_end
from workers.sandbox.training.layout import FAST_FILE

CODE = "TEST-TRAIN-FASTFILE"


def channels(setup: Setup) -> list[str]:
    """The tested channels that can be mounted besides."""
    declared = {channel.Name: channel.SupportedInputModes for channel in setup.training.TrainingChannels}
    return [name for name in setup.test.channels if FAST_FILE in declared.get(name, ()) and setup.mode != FAST_FILE]


def run(bench: Bench, setup: Setup, seconds: float) -> Outcome:
    """Train once more, with the ``channels`` as read-only mounts. ``seconds``: how long the verdict run took.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    names = channels(setup)
    outcome = Outcome("train-fastfile")
    bench.log.section("Training in FastFile mode")

    def live(holder: Holder, subject: Subject) -> None:
        ended = to_end(bench, outcome, holder, subject, piping.limit(setup, seconds))
        found = holder.call("contents", bench.stop, path=MODEL, most_entries=1000, listed=1)
        told, reason = judge(ended, int(found["files"]))
        outcome.add(told, CODE, evidence=ended.evidence if reason else (), reason=reason, names=", ".join(names))

    run_job(bench, outcome, setup, setup.job().with_mode(names, FAST_FILE), live)
    return outcome


def judge(ended: Ended, files: int) -> tuple[CheckOutcome, str]:
    """``files``: how many it left in the model directory. With the reason where it is no pass."""
    if ended.exit is None:
        # Past twice its time: files are no slower here than in File mode, so that tells of a busy host.
        return CheckOutcome.SKIP, f"it {ended.how}"
    if not ended.succeeded:
        return CheckOutcome.FAIL, f"it {ended.how}"
    return (CheckOutcome.PASS, "") if files else (CheckOutcome.FAIL, "it left no model")
