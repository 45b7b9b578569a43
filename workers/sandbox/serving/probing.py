"""What every probe of a running server works with: the samples, one clock for all probes, a server that may die."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from listings.problems import ProblemError
from listings.reports import CheckOutcome, Evidence
from listings.spec.models import Inference, InferenceTest, RequestSample
from workers.sandbox.exits import meaning_of
from workers.sandbox.holder_client import PORT as PORT
from workers.sandbox.holder_client import Answer, Holder
from workers.sandbox.phase import Bench, Outcome, judge_memory
from workers.sandbox.samples import Samples
from workers.sandbox.subject import Exit, Subject

EXITED = "TEST-SERVE-EXITED"
INVOCATION_SECONDS = 60.0
#: All probes of one run together, so that a slow server does not make a step without end.
PROBE_SECONDS = 120.0
#: How an exchange ends whose server ends, and for how long that may be on its way to be known.
GONE, GONE_SECONDS = ("refused", "closed", "io"), 1.5
ERRORS = {
    "refused": "connection refused",
    "timeout": "no answer in time",
    "closed": "connection closed without an answer",
    "not-http": "not an HTTP answer",
    "io": "connection failed",
    "too-large": "an answer too large to hand on",
}


class OutOfTime(Exception):
    """What is left of the probes' time is less than a request needs, or it ended one early: nothing is judged by it."""


class Died(Exception):
    """The container ``subject`` ended while it was probed."""

    def __init__(self, ended: Exit, subject: Subject) -> None:
        super().__init__(f"exit code {ended.code}")
        self.ended, self.subject = ended, subject


@dataclass(slots=True)
class Probing:
    """``good``: the samples that succeeded as expected, with their answers, in their order.

    ``subject`` is the container under test; in a pipeline the first, and ``others`` are those behind it, with the
    ``names`` of all. ``request_seconds``: how long SageMaker waits for an answer; ``budget``: seconds for all probes.
    """

    bench: Bench
    outcome: Outcome
    holder: Holder
    subject: Subject
    samples: Samples
    inference: Inference
    test: InferenceTest
    facts: dict[str, Any]
    good: list[tuple[RequestSample, Answer]] = field(default_factory=list)
    #: Set where an answer did not come: then the probes are left out.
    silent: bool = False
    #: Whether the server may still be at work on a request that we have given up.
    abandoned: bool = False
    until: float = 0.0
    others: tuple[Subject, ...] = ()
    names: tuple[str, ...] = ()
    request_seconds: float = field(default_factory=lambda: INVOCATION_SECONDS)
    budget: float = field(default_factory=lambda: PROBE_SECONDS)

    def whose(self, answer: Answer) -> str:
        """The container that gave an answer, as the beginning of a sentence; "" where there is only one."""
        return f"container {self.names[answer.link]}: " if self.names else ""

    @property
    def left(self) -> float:
        return max(0.0, self.until - time.monotonic())

    @property
    def needs(self) -> float:
        """Seconds that one request may well take: twice what the slowest good sample took, and one more."""
        slowest = max((answer.ms for _, answer in self.good), default=0.0) / 1000
        return min(self.request_seconds, 2 * slowest + 1)

    def start_clock(self) -> None:
        self.until = time.monotonic() + self.budget

    def require_time(self, seconds: float) -> None:
        """Raises OutOfTime where less is left of the probes' time."""
        left = self.left
        if left < 1:
            raise OutOfTime(f"the budget of {self.budget:g} s for probes is used up")
        if left < seconds:
            of = f"of the budget of {self.budget:g} s for probes"
            raise OutOfTime(f"{of} {left:.0f} s are left, and {seconds:.0f} s may be needed")

    def post(
        self, body: bytes, content_type: str, accept: str | None = None, *, headers: Mapping[str, str] | None = None,
        timeout: float | None = None, max_bytes: int = 2000, padding: bytes = b"", padding_times: int = 0,
    ) -> Answer:  # fmt: skip
        """POST /invocations. Raises Died, StepStopped."""
        sent = {"Content-Type": content_type, **({"Accept": accept} if accept else {}), **(headers or {})}
        answer = self.holder.request(
            "POST", "/invocations", self.bench.stop, timeout=timeout or self.request_seconds, body=body, headers=sent,
            max_bytes=max_bytes, padding=padding, padding_times=padding_times,
        )  # fmt: skip
        self.abandoned = answer.error == "timeout"
        self.require_survived(answer)
        return answer

    def probe(self, body: bytes, content_type: str, accept: str | None = None, **options: Any) -> Answer:
        """``post`` within what is left of the probes' time. Raises OutOfTime, Died, StepStopped."""
        self.require_time(self.needs)
        timeout = min(self.request_seconds, self.left)
        answer = self.post(body, content_type, accept, timeout=timeout, **options)
        if answer.error == "timeout" and timeout < self.request_seconds:
            # The server might have answered within the time that SageMaker gives it.
            raise OutOfTime(
                f"a request had no answer after {timeout:.0f} s, when the budget of {self.budget:g} s for probes ended"
            )
        return answer

    def send(self, sample: RequestSample, **options: Any) -> Answer:
        return self.probe(self.samples.read(sample.body), sample.content_type, sample.accept, **options)

    def require_alive(self, seconds: float = 0.05) -> None:
        """Raises Died once a container has ended."""
        for subject in (self.subject, *self.others):
            ended = subject.tick(seconds if subject is self.subject else 0)
            if ended is not None:
                raise Died(ended, subject)

    def require_survived(self, answer: Answer) -> None:
        """Raises Died where a container has ended: then that is what happened, not the answer that did not come.

        The engine tells the end of a container a while after its connections have closed.
        """
        until = time.monotonic() + (GONE_SECONDS if answer.error in GONE else 0.0)
        self.require_alive(0.1 if answer.error else 0.01)
        while time.monotonic() < until:
            self.require_alive(0.1)

    def say(self, text: str) -> int:
        return self.bench.log.line(text, "slipway")

    def mark(self, kind: str, text: str, log_line: int | None = None) -> None:
        self.outcome.mark(self.subject.seconds, kind, text, log_line)

    def skip(self, code: str, reason: str, **params: object) -> None:
        self.outcome.add(
            CheckOutcome.SKIP, code, evidence=(Evidence(reason, label="not established"),), reason=reason, **params
        )


@dataclass(frozen=True, slots=True)
class Probe:
    """``codes``: what it judges. ``deadly``: the code that a server fails which dies of it; else it has just ended."""

    codes: tuple[str, ...]
    run: Callable[[Probing], None]
    needs_sample: bool = True
    deadly: str = EXITED


def run_probes(probing: Probing, probes: Sequence[Probe]) -> None:
    """One after the other, for as long as there is time. Raises ProblemError where the container ends."""
    probing.start_clock()
    for probe in probes:
        if reason := _why_not(probing, probe):
            _leave_out(probing, probe, reason)
            continue
        try:
            probe.run(probing)
        except OutOfTime as short:
            _leave_out(probing, probe, str(short))
        except Died as died:
            raise ended(probing, died, probe.deadly) from died
    probing.facts["probing_seconds"] = round(time.monotonic() - probing.until + probing.budget, 3)


def _leave_out(probing: Probing, probe: Probe, reason: str) -> None:
    """What it has judged by then stands; that it did not come to its end is said."""
    probing.say(f"{', '.join(probe.codes)} skipped: {reason}")
    for code in probe.codes:
        probing.skip(code, reason)


def _why_not(probing: Probing, probe: Probe) -> str:
    if probing.silent:
        return "a request was not answered in time"
    if probe.needs_sample and not probing.good:
        return "no request sample succeeded"
    try:
        probing.require_time(probing.needs)
    except OutOfTime as short:
        return str(short)
    return ""


def ended(
    probing: Probing, died: Died, code: str = EXITED, first: tuple[Evidence, ...] = ()
) -> ProblemError:  # fmt: skip
    """The problem ``code`` of a container that ended by itself; out of memory explains it better, if it was that.

    ``first``: evidence that goes before its last lines.
    """
    outcome, subject, how = probing.outcome, died.subject, died.ended
    probing.facts["exit_code"] = how.code
    if judge_memory(outcome, subject, how, first) and (told := outcome.problem) is not None:
        return ProblemError(told.code, evidence=told.evidence, **told.params)
    if code == EXITED:
        params = {"exit_code": str(how.code), "meaning": meaning_of(how.code), "seconds": str(how.seconds)}
    else:
        params = {"reason": f"the container ended with exit code {how.code}, {meaning_of(how.code)}"}
    return ProblemError(code, evidence=(*first, *subject.last_lines()), **params)


def describe(answer: Answer) -> str:
    return ERRORS.get(answer.error, answer.error) if answer.error else f"status {answer.status}"


def shown(answer: Answer) -> tuple[Evidence, ...]:
    """The beginning of an answer as evidence."""
    return (Evidence(answer.body[:2000].decode("utf-8", "replace"), label="answer"),) if answer.body else ()
