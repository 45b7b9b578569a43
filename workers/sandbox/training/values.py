"""Hyperparameters outside their range, of another type, or missing: training must end, and say why.

A buyer sees no log of an algorithm that is not theirs: what is in ``/opt/ml/output/failure`` is all they learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from listings.reports import CheckOutcome, Evidence
from listings.spec.models import HyperParameter
from workers.sandbox.holder_client import Holder
from workers.sandbox.phase import Bench, Outcome
from workers.sandbox.subject import Subject
from workers.sandbox.training import patches
from workers.sandbox.training.job import FAILURE, Ended, Setup, run_job, to_end
from workers.sandbox.training.layout import JobInput

ACCEPTED, REASON = "TEST-VALUES-ACCEPTED", "TEST-VALUES-REASON"
NUMBERS = ("Integer", "Continuous")
NO_NUMBER = "not-a-number"
NO_CATEGORY = "no-such-value"
#: Besides twice the verdict run's time, and in all: a bad value is found at the start, not after an hour.
MORE_SECONDS, MOST_SECONDS = 30.0, 300.0


@dataclass(frozen=True, slots=True)
class BadValue:
    """``value`` None: the parameter is left out. ``kind``: range, type or missing."""

    kind: str
    name: str
    value: str | None
    why: str

    @property
    def text(self) -> str:
        return f"{self.name} left out" if self.value is None else f"{self.name}={self.value}"

    def put(self, job: JobInput) -> JobInput:
        return job.without(self.name) if self.value is None else job.with_values({self.name: self.value})


def bad_values(parameters: list[HyperParameter]) -> list[BadValue]:
    """At most one of each kind, of different parameters where there are such."""
    outside = next(_outside(parameters), None)
    numbers = [parameter.Name for parameter in parameters if parameter.Type in NUMBERS]
    numbers.sort(key=lambda name: outside is not None and name == outside.name)
    typed = [BadValue("type", name, NO_NUMBER, "it is declared as a number") for name in numbers[:1]]
    needed = [p.Name for p in parameters if p.IsRequired and p.DefaultValue is None]
    missing = [BadValue("missing", name, None, "it is declared as required") for name in needed[:1]]
    return [*([outside] if outside else []), *typed, *missing]


def _outside(parameters: list[HyperParameter]) -> Iterator[BadValue]:
    """Numbers first. Below the range: above it could mean a training that takes long."""
    for parameter in parameters:
        limits = parameter.Range
        if limits and (whole := limits.IntegerParameterRangeSpecification):
            value = str(int(whole.MinValue) - 1)
            yield BadValue("range", parameter.Name, value, f"its range is {whole.MinValue} to {whole.MaxValue}")
        elif limits and (real := limits.ContinuousParameterRangeSpecification):
            value = f"{float(real.MinValue) - max(1.0, abs(float(real.MinValue))):g}"
            yield BadValue("range", parameter.Name, value, f"its range is {real.MinValue} to {real.MaxValue}")
    for parameter in parameters:
        if parameter.Range and (named := parameter.Range.CategoricalParameterRangeSpecification):
            yield BadValue("range", parameter.Name, NO_CATEGORY, f"its values are {', '.join(named.Values[:10])}")


def run(bench: Bench, setup: Setup, seconds: float) -> list[Outcome]:
    """One short run for each bad value; the checks are with the last. ``seconds``: how long the verdict run took.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    outcomes: list[Outcome] = []
    found: list[tuple[BadValue, Ended]] = []
    for bad in bad_values(setup.training.SupportedHyperParameters):
        outcome = Outcome(f"train-values-{bad.kind}")
        bench.log.section(f"Training with a bad hyperparameter: {bad.text}")

        def live(holder: Holder, subject: Subject, outcome: Outcome = outcome) -> Ended:
            return to_end(bench, outcome, holder, subject, min(2 * seconds + MORE_SECONDS, MOST_SECONDS))

        ended = run_job(bench, outcome, setup, bad.put(setup.job()), live)
        if ended is not None:
            found.append((bad, ended))
        outcomes.append(outcome)
    if found:
        _judge(outcomes[-1], found)
    return outcomes


def _judge(outcome: Outcome, found: list[tuple[BadValue, Ended]]) -> None:
    accepted = [(bad, ended) for bad, ended in found if ended.exit is None or ended.exit.code == 0]
    outcome.add(
        CheckOutcome.WARN if accepted else CheckOutcome.PASS, ACCEPTED,
        evidence=tuple(Evidence(f"{bad.text}, though {bad.why}: training {ended.how}") for bad, ended in accepted),
        values=", ".join(bad.text for bad, _ in accepted), count=len(found),
    )  # fmt: skip
    patches.attach(outcome, patches.CHECKED_VALUE.format(name=found[0][0].name))
    refused = [(bad, ended) for bad, ended in found if ended.exit is not None and ended.exit.code != 0]
    silent = [(bad, ended) for bad, ended in refused if not ended.failure]
    if not refused:
        return
    evidence = [Evidence(_told(bad, ended), label=FAILURE) for bad, ended in refused if ended.failure]
    for bad, ended in silent:
        evidence += [Evidence(f"{bad.text}: training {ended.how}"), *ended.evidence[-3:]]
    outcome.add(
        CheckOutcome.WARN if silent else CheckOutcome.PASS, REASON,
        evidence=tuple(evidence), values=", ".join(bad.text for bad, _ in silent), count=len(refused),
    )  # fmt: skip
    patches.attach(outcome, patches.FAILURE_FILE)


def _told(bad: BadValue, ended: Ended) -> str:
    named = "" if bad.name in ended.failure else " (does not name the hyperparameter)"
    return f"{bad.text}: {ended.failure[:300]}{named}"
