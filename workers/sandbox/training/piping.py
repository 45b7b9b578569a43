"""Pipe mode: whether training reads its channels through named pipes, where they say that it can."""

from __future__ import annotations

from collections.abc import Iterable

from listings.reports import CheckOutcome, Evidence
from workers.sandbox.holder_client import Holder
from workers.sandbox.phase import MODEL, Bench, Outcome
from workers.sandbox.subject import Subject
from workers.sandbox.training import patches
from workers.sandbox.training.job import Setup, run_job, to_end
from workers.sandbox.training.layout import PIPE

CODE = "TEST-TRAIN-PIPE"
#: Besides twice the verdict run's time.
MORE_SECONDS = 30.0


def channels(setup: Setup) -> list[str]:
    """The tested channels that can be read through pipes besides."""
    declared = {channel.Name: channel.SupportedInputModes for channel in setup.training.TrainingChannels}
    return [name for name in setup.test.channels if PIPE in declared.get(name, ()) and setup.mode != PIPE]


def limit(setup: Setup, seconds: float) -> float:
    """Of a run that reads its channels in another mode, in seconds. ``seconds``: how long the verdict run took."""
    return min(2 * seconds + MORE_SECONDS, float(setup.test.timeout_seconds))


def run(bench: Bench, setup: Setup, seconds: float) -> Outcome:
    """Train once more, with the ``channels`` through pipes.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    names = channels(setup)
    outcome = Outcome("train-pipe")
    bench.log.section("Training in Pipe mode")

    def live(holder: Holder, subject: Subject) -> None:
        ended = to_end(bench, outcome, holder, subject, limit(setup, seconds))
        if not ended.succeeded:
            read = _evidence(names, holder, subject)
            outcome.failed(CODE, read + ended.evidence, reason=f"it {ended.how}", names=", ".join(names))
        elif not holder.call("contents", bench.stop, path=MODEL, most_entries=1000, listed=1)["files"]:
            outcome.failed(CODE, subject.last_lines(5), reason="it left no model", names=", ".join(names))
        else:
            judge_pipes(outcome, names, holder, subject)
        patches.attach(outcome, patches.PIPE_READER)

    run_job(bench, outcome, setup, setup.job().with_mode(names, PIPE), live)
    return outcome


def judge_pipes(outcome: Outcome, names: Iterable[str], holder: Holder, subject: Subject) -> None:
    """After a training that succeeded: has it read them at all?"""
    found = holder.call("piped", subject.stop)["channels"]
    unread = [name for name in names if not found[name]["opened"]]
    outcome.add(
        CheckOutcome.WARN if unread else CheckOutcome.PASS, CODE,
        evidence=_evidence(names, holder, subject), names=", ".join(names),
        reason=f"it never opened {', '.join(unread)}" if unread else "",
    )  # fmt: skip


def _evidence(names: Iterable[str], holder: Holder, subject: Subject) -> tuple[Evidence, ...]:
    found = holder.call("piped", subject.stop)["channels"]
    texts = []
    for name in names:
        channel = found[name]
        problem = f"; the pipe was lost: {channel['error']}" if channel["error"] else ""
        texts.append(
            f"{name}: opened {channel['opened']} times, read to its end {channel['complete']} times, "
            f"{channel['bytes']} bytes{problem}"
        )
    return tuple(Evidence(text, label="pipe") for text in texts)
