"""The further runs of a phase whose verdict run called out: one in which its calls are dropped, and one in which they
are listened to. Neither is made where it could tell nothing, and the reason is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from django.conf import settings

from listings.problems import ProblemError, fill, get
from listings.reports import ProblemReport
from listings.spec.models import VersionSpec
from workers.sandbox.network import Network
from workers.sandbox.phase import Bench, Outcome
from workers.steps.contract import Log

#: Problems of a run that a call to nowhere may have caused: then the call itself fails its check.
BROKEN_RUN = {"TEST-TRAIN-EXIT", "TEST-TRAIN-TIMEOUT", "TEST-TRAIN-IDLE", "TEST-SERVE-EXITED", "TEST-SERVE-PING",
              "TEST-PIPELINE-START", "TEST-REQUEST", "TEST-REQUEST-TIME", "TEST-BATCH-START",
              "TEST-BATCH-RECORDS"}  # fmt: skip
#: So much of the step's time further runs may have used when they are done, in the worst case.
SHARE = 0.75
NO_TIME = "the step has not enough time left"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A run that was not made."""

    phase: str
    network: Network
    reason: str

    def as_json(self) -> dict[str, str]:
        return {"phase": self.phase, "network": self.network.value, "reason": self.reason}

    def __str__(self) -> str:
        return f"{self.phase} was not run with {self.network.words}: {self.reason}"


class Plan:
    """``outcomes`` of every run in order, ``skipped`` what was not run. Time counts from when it is made."""

    def __init__(self, bench: Bench) -> None:
        self._bench, self._begun = bench, time.monotonic()
        self.outcomes: list[Outcome] = []
        self.skipped: list[Skipped] = []

    @property
    def verdicts(self) -> list[Outcome]:
        """The runs that count."""
        return [outcome for outcome in self.outcomes if outcome.network is Network.REFUSE]

    @property
    def problem(self) -> ProblemReport | None:
        return next((outcome.problem for outcome in self.verdicts if outcome.problem), None)

    @property
    def broke_calling(self) -> bool:
        """Whether a phase broke in a way that its own calls may have caused: another phase's calls explain nothing."""
        return any(
            outcome.problem is not None
            and outcome.problem.code in BROKEN_RUN
            and bool(outcome.outgoing or outcome.lost_calls or outcome.unseen_packets)
            for outcome in self.verdicts
        )

    @property
    def hung(self) -> str:
        """Which limit a run broke while no answer came to its calls; "" for none."""
        dropped = (outcome for outcome in self.outcomes if outcome.network is Network.DROP)
        return next((text for text in map(broke, dropped) if text), "")

    def add(self, *outcomes: Outcome) -> None:
        """Runs that stand for themselves: their calls count, but they are not made again."""
        self.outcomes += outcomes

    def judge(self, outcome: Outcome, again: Callable[[Bench], Outcome], longest: float) -> None:
        """Note the verdict run of a phase, and run the phase ``again`` as often as its calls make it worthwhile.

        ``longest``: the seconds that a run takes at worst.
        """
        self.outcomes.append(outcome)
        if not outcome.outgoing and not outcome.lost_calls:
            return
        for network in (Network.DROP, Network.DIAGNOSE):
            reason = self._why_not(outcome, network, longest)
            if not reason:
                reason = self._run(outcome.phase, network, again)
            if reason:
                self.skipped.append(Skipped(outcome.phase, network, reason))
                self._bench.log.line(str(self.skipped[-1]), "slipway")

    def _run(self, phase: str, network: Network, again: Callable[[Bench], Outcome]) -> str:
        """Why it could not be made, "" if it was: not every kernel can drop calls, and the verdict stands without."""
        folder = self._bench.workdir / f"{phase}-{network.value}"
        folder.mkdir()
        try:
            self.outcomes.append(again(replace(self._bench, network=network, workdir=folder)))
        except ProblemError as error:
            if error.code != "TEST-HOLDER":
                raise
            return fill(get(error.code).cause, error.report.params)
        return ""

    def has_time(self, longest: float) -> bool:
        """Whether a run of so many seconds leaves enough of the step's time."""
        return time.monotonic() - self._begun + longest <= SHARE * settings.SLIPWAY.test_timeout_seconds

    def _why_not(self, outcome: Outcome, network: Network, longest: float) -> str:
        code = outcome.problem.code if outcome.problem else ""
        if code and code not in BROKEN_RUN:
            return f"it broke for another reason ({code})"
        if code and network is Network.DROP:
            return "it broke already while its calls were refused at once"
        if not self.has_time(longest):
            return NO_TIME
        return ""


def broke(outcome: Outcome) -> str:
    """In words, how a run broke in a way that waiting for an answer may cause; "" where it did not."""
    problem = outcome.problem
    if problem is None or problem.code not in BROKEN_RUN:
        return ""
    entry = get(problem.code)
    return f"{outcome.phase}, {outcome.network.words}: {entry.title} ({fill(entry.cause, problem.params)})"


def within_the_step(spec: VersionSpec, log: Log) -> VersionSpec:
    """``spec`` with no more time for training than further runs may use, so that training which goes past its time is
    told as such, and not as a step that did."""
    test, most = spec.tests.training, int(SHARE * settings.SLIPWAY.test_timeout_seconds)
    if test is None or test.timeout_seconds <= most:
        return spec
    log.line(
        f"tests.training.timeout_seconds is {test.timeout_seconds}: training gets {most} s, as this portal ends the "
        f"whole test after {settings.SLIPWAY.test_timeout_seconds:g} s", "slipway",
    )  # fmt: skip
    shorter = test.model_copy(update={"timeout_seconds": most})
    return spec.model_copy(update={"tests": spec.tests.model_copy(update={"training": shorter})})


def diagnosis_limit(limit: float, verdicts: Iterable[Outcome]) -> float:
    """A run that decides nothing gets twice the time that the verdict run took, and a minute."""
    return min(limit, 60 + 2 * max((outcome.seconds for outcome in verdicts), default=0.0))
