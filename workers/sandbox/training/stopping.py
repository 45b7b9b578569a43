"""SIGTERM in the middle of training, as when a job is stopped, runs into its time limit or loses its Spot instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from listings.reports import CheckOutcome, Evidence
from workers.images.programs import shell_command
from workers.sandbox.holder_client import Holder
from workers.sandbox.phase import ML, Bench, Outcome
from workers.sandbox.subject import Exit, Subject
from workers.sandbox.training import patches, tuning
from workers.sandbox.training.job import Ended, Setup, mark_end, output_facts, read_failure, run_job
from workers.sandbox.training.layout import CHECKPOINTS, TUNING_PARAMETER

CODE = "TEST-TRAIN-STOP"
GRACE_SECONDS = 120.0
#: What ended sooner in the verdict run cannot be met in its middle for sure.
SHORTEST_SECONDS = 1.0
#: The signal comes after half of the verdict run's time, at most after so long, and not before the first output; what
#: prints at its end only gets it after three quarters.
AT_MOST_SECONDS, SILENT_SHARE = 60.0, 0.75
#: Besides twice the verdict run's time: then it comes in any case.
MORE_SECONDS = 30.0
LOOK_SECONDS = 0.1
KILLED = 137


@dataclass(frozen=True, slots=True)
class Stopped:
    """``sent``: seconds until the signal; ``took``: seconds from there; ``printed``: lines until then."""

    exit: Exit
    sent: float
    took: float
    printed: int
    output: dict[str, Any]


def is_worth_a_run(decided: Outcome) -> bool:
    """False where the run that ``decided`` was too short to be stopped in its middle, which is said there."""
    seconds = float((decided.facts or {})["seconds"])
    if seconds < SHORTEST_SECONDS:
        decided.add(CheckOutcome.SKIP, CODE, reason=f"it took {seconds:g} s, too short to be stopped in between")
        return False
    return True


def latest(seconds: float) -> float:
    """When the signal comes at the latest, also to a training that prints nothing this time."""
    return 2 * seconds + MORE_SECONDS


def limit(seconds: float) -> float:
    return latest(seconds) + GRACE_SECONDS


def run(bench: Bench, setup: Setup, decided: Outcome) -> Outcome:
    """Stop a training in its middle.

    As a job with checkpoints, which a Spot job is. A long one gets the tuning job's parameter besides.
    Raises ProblemError for what is not the seller's, StepStopped.
    """
    verdict = decided.facts or {}
    seconds = float(verdict["seconds"])
    outcome = Outcome("train-stop")
    bench.log.section("Training, stopped in its middle")
    job = setup.job().with_checkpoints()
    objective = tuning.objective(setup.training) if tuning.is_long(seconds) else ""
    if objective:
        job = job.with_values({TUNING_PARAMETER: objective})

    def live(holder: Holder, subject: Subject) -> None:
        early = _until_its_middle(subject, verdict)
        if objective:
            ended = Ended(early, "", read_failure(bench, holder), subject.last_lines()) if early else None
            tuning.judge(outcome, ended)
        if early is not None:
            mark_end(outcome, subject, early)
            outcome.add(CheckOutcome.SKIP, CODE, reason=f"it ended after {early.seconds:g} s, before the signal")
            return
        sent, printed = subject.seconds, subject.pump.lines
        outcome.mark(sent, "signal", "SIGTERM")
        bench.log.line(f"SIGTERM after {sent:g} s", "slipway")
        took, last = subject.terminate(GRACE_SECONDS)
        mark_end(outcome, subject, last)
        kept = holder.call("contents", bench.stop, path=f"{ML}/{CHECKPOINTS}", most_entries=10_000, listed=1)["files"]
        bench.log.line(f"ended {took:g} s later with exit code {last.code}; {kept} files of checkpoints", "slipway")
        found = Stopped(last, sent, took, printed, output_facts(subject.pump))
        result, reason = judge(found, verdict)
        _report(bench, outcome, result, reason, found, kept)

    run_job(bench, outcome, setup, job, live)
    return outcome


def _until_its_middle(subject: Subject, verdict: dict[str, Any]) -> Exit | None:
    """Wait until it is at work. The exit where it ended before."""
    seconds, first = float(verdict["seconds"]), verdict["output"]["first_seconds"]
    middle = min(seconds / 2, AT_MOST_SECONDS)
    late = min(seconds * SILENT_SHARE, AT_MOST_SECONDS)
    waits = first is not None and first < late
    while (ended := subject.tick(LOOK_SECONDS)) is None:
        if subject.seconds >= middle and (subject.pump.lines or (not waits and subject.seconds >= late)):
            return None
        if subject.seconds >= latest(seconds):
            return None
    return ended


def judge(found: Stopped, verdict: dict[str, Any]) -> tuple[CheckOutcome, str]:
    """Whether the signal ended it, and if not, how that shows.

    Ending with 0 is ambiguous: it may have saved its state, or have run on to its end as if nothing had come.
    """
    if not found.took:
        return CheckOutcome.SKIP, "it ended by itself just before the signal"
    if found.took >= GRACE_SECONDS and found.exit.code == KILLED:
        return CheckOutcome.WARN, f"it took no notice of SIGTERM for {GRACE_SECONDS:g} s and had to be killed"
    if found.exit.code != 0:
        return CheckOutcome.PASS, ""
    left = float(verdict["seconds"]) - found.sent
    soon = found.took < left / 2
    more = float(verdict["output"]["last_seconds"] or 0) > found.sent  # what it prints tells how far it went
    whole = all(found.output[key] == verdict["output"][key] for key in ("lines", "last"))
    if whole and (more or not soon):
        if verdict["output"]["lines"] and found.printed in (0, verdict["output"]["lines"]):
            return CheckOutcome.SKIP, "the signal came before its first line or after its last: use a larger sample"
        return CheckOutcome.WARN, "it took no notice of SIGTERM and ran on to its end"
    if soon or (more and found.output["last"] != verdict["output"]["last"]):
        return CheckOutcome.PASS, ""
    return CheckOutcome.SKIP, f"it ended with 0 after {found.took:g} s, which may have been its own end"


def _report(
    bench: Bench, outcome: Outcome, result: CheckOutcome, reason: str, found: Stopped, checkpoints: int
) -> None:
    evidence = [Evidence(f"SIGTERM after {found.sent:g} s, end {found.took:g} s later, exit code {found.exit.code}")]
    if checkpoints:
        evidence.append(Evidence(f"{checkpoints} files in /opt/ml/checkpoints", label="checkpoints"))
    shell = None
    if result is CheckOutcome.WARN:
        entrypoint = bench.engine.client.images.get(bench.image.name).attrs["Config"].get("Entrypoint") or []
        shell = shell_command(entrypoint)
        if shell is not None:
            evidence.append(Evidence(f"ENTRYPOINT {shell.text}", label="ENTRYPOINT in shell form"))
    outcome.add(
        result, CODE, evidence=tuple(evidence), reason=reason, seconds=f"{found.took:g}", exit_code=found.exit.code
    )
    patches.attach(outcome, patches.EXEC_FORM if shell else patches.SIGTERM_HANDLER)
