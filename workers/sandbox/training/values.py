"""Hyperparameters outside their range, of another type, or missing: training must end, and say why.

A buyer sees no log of an algorithm that is not theirs: what is in ``/opt/ml/output/failure`` is all they learn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
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
#: So many values are tried where training takes no longer than that; else one of each kind.
MOST_RUNS, QUICK_SECONDS = 5, 10.0


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


Found = tuple[BadValue, Ended]


def bad_values(parameters: list[HyperParameter]) -> list[BadValue]:
    """All that are worth a run: first one of each kind, of different parameters where there are such, then the further
    ranges, which are left below and above by turns."""
    ranges = _ranges(parameters)
    outside = ranges[:1]
    numbers = [parameter.Name for parameter in parameters if parameter.Type in NUMBERS]
    numbers.sort(key=lambda name: name in [bad.name for bad in outside])
    typed = [BadValue("type", name, NO_NUMBER, "it is declared as a number") for name in numbers[:1]]
    needed = [p.Name for p in parameters if p.IsRequired and p.DefaultValue is None]
    missing = [BadValue("missing", name, None, "it is declared as required") for name in needed[:1]]
    return [*outside, *typed, *missing, *ranges[1:]]


def _ranges(parameters: list[HyperParameter]) -> list[BadValue]:
    """One for each range, numbers first; then the other side of each."""
    numbers = [found for parameter in parameters if (found := _outside(parameter))]
    by_turns = [sides[index % 2] for index, sides in enumerate(numbers)]
    others = [sides[(index + 1) % 2] for index, sides in enumerate(numbers)]
    named = [
        BadValue("range", parameter.Name, NO_CATEGORY, f"its values are {', '.join(named.Values[:10])}")
        for parameter in parameters
        if parameter.Range and (named := parameter.Range.CategoricalParameterRangeSpecification)
    ]
    return [bad for bad in [*by_turns, *named, *others] if bad.value not in ("inf", "-inf")]


def _outside(parameter: HyperParameter) -> tuple[BadValue, BadValue] | None:
    """Below and above the range of a number; None where it has none."""
    limits = parameter.Range
    if limits and (whole := limits.IntegerParameterRangeSpecification):
        values = str(int(whole.MinValue) - 1), str(int(whole.MaxValue) + 1)
        why = f"its range is {whole.MinValue} to {whole.MaxValue}"
    elif limits and (real := limits.ContinuousParameterRangeSpecification):
        least, most = float(real.MinValue), float(real.MaxValue)
        values = f"{least - max(1.0, abs(least)):g}", f"{most + max(1.0, abs(most)):g}"
        why = f"its range is {real.MinValue} to {real.MaxValue}"
    else:
        return None
    below, above = (BadValue("range", parameter.Name, value, why) for value in values)
    return below, above


def limit(seconds: float) -> float:
    """Of one run, in seconds. ``seconds``: how long the verdict run took."""
    return min(2 * seconds + MORE_SECONDS, MOST_SECONDS)


def run(bench: Bench, setup: Setup, seconds: float, has_time: Callable[[float], bool]) -> list[Outcome]:
    """One short run for each bad value, as many as ``seconds``, the verdict run's time, makes cheap and the step
    ``has_time`` for; the checks are with the last.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    outcomes: list[Outcome] = []
    found: list[Found] = []
    bad_ones = bad_values(setup.training.SupportedHyperParameters)
    kinds: Counter[str] = Counter()
    for bad in bad_ones[: MOST_RUNS if seconds <= QUICK_SECONDS else len({bad.kind for bad in bad_ones})]:
        if not has_time(limit(seconds)):
            break
        kinds[bad.kind] += 1
        number = f"-{kinds[bad.kind]}" if kinds[bad.kind] > 1 else ""
        outcome = Outcome(f"train-values-{bad.kind}{number}")
        bench.log.section(f"Training with a bad hyperparameter: {bad.text}")

        def live(holder: Holder, subject: Subject, outcome: Outcome = outcome) -> Ended:
            subject.explains_exits = False  # what is judged is that it refused
            return to_end(bench, outcome, holder, subject, limit(seconds))

        ended = run_job(bench, outcome, setup, bad.put(setup.job()), live)
        if ended is not None:
            found.append((bad, ended))
        outcomes.append(outcome)
    if found:
        judge(outcomes[-1], found, bad_ones[len(outcomes) :], seconds)
    return outcomes


def judge(outcome: Outcome, found: Sequence[Found], untried: Sequence[BadValue], seconds: float) -> None:
    """Whether the bad values that were tried were refused, and with a reason. ``seconds``: the verdict run's time."""
    accepted: list[Found] = []
    open_: list[Found] = []
    refused: list[Found] = []
    for bad, ended in found:
        if ended.exit is not None:
            (refused if ended.exit.code else accepted).append((bad, ended))
        else:
            # Past twice its own time it has been accepted; but where that is longer than we wait, it may still refuse.
            (accepted if limit(seconds) == 2 * seconds + MORE_SECONDS else open_).append((bad, ended))
    told = accepted or open_
    evidence = [Evidence(f"{bad.text}, though {bad.why}: training {ended.how}") for bad, ended in told]
    if not accepted and open_:
        evidence.append(Evidence(f"a run is given {limit(seconds):g} s, which this training may need before it looks"))
    evidence.append(Evidence(", ".join(bad.text for bad, _ in found), label="tried"))
    if untried:
        evidence.append(Evidence(_few([bad.text for bad in untried]), label="not tried"))
    outcome.add(
        CheckOutcome.WARN if accepted else CheckOutcome.SKIP if open_ else CheckOutcome.PASS, ACCEPTED,
        evidence=tuple(evidence), values=", ".join(bad.text for bad, _ in told), count=len(found),
    )  # fmt: skip
    patches.attach(outcome, patches.CHECKED_VALUE.format(name=(told or found)[0][0].name))
    if refused:
        _judge_reasons(outcome, refused)


def _judge_reasons(outcome: Outcome, refused: Sequence[Found]) -> None:
    silent = [(bad, ended) for bad, ended in refused if not ended.failure]
    evidence = [Evidence(_told(bad, ended), label=FAILURE) for bad, ended in refused if ended.failure]
    for bad, ended in silent:
        evidence += [Evidence(f"{bad.text}: training {ended.how}"), *ended.evidence[-3:]]
    outcome.add(
        CheckOutcome.WARN if silent else CheckOutcome.PASS, REASON,
        evidence=tuple(evidence), values=", ".join(bad.text for bad, _ in silent), count=len(refused),
    )  # fmt: skip
    patches.attach(outcome, patches.FAILURE_FILE)


def _few(texts: Sequence[str], most: int = 10) -> str:
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _told(bad: BadValue, ended: Ended) -> str:
    named = "" if bad.name in ended.failure else " (does not name the hyperparameter)"
    return f"{bad.text}: {ended.failure[:300]}{named}"
