"""What the training and the inference run share: their containers, and what each found out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.types import Mount

from listings.problems import Owner, ProblemError, get
from listings.reports import CheckOutcome, CheckReport, Evidence, ProblemReport
from workers.engine import Engine
from workers.sandbox.holder_client import ALONE, Holder, Place
from workers.sandbox.network import Network
from workers.sandbox.outgoing import describe
from workers.sandbox.resources import volumes
from workers.sandbox.resources.profile import Profile
from workers.sandbox.resources.together import Used, together
from workers.sandbox.staged import StagedImage
from workers.sandbox.subject import Exit, Subject
from workers.steps.contract import Log, Stop

ML = "/opt/ml"
MODEL = "/opt/ml/model"


@dataclass(frozen=True, slots=True)
class Bench:
    """What every phase of one test works with."""

    engine: Engine
    image: StagedImage
    holder_image: str
    labels: Mapping[str, str]
    name: str
    log: Log
    stop: Stop
    workdir: Path
    network: Network = Network.REFUSE

    def section(self, title: str) -> None:
        """Begin a section of the log."""
        self.log.section(title if self.network is Network.REFUSE else f"{title}, {self.network.words}")


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one moment of a run, for its time axis. ``kind``: start, ping, request, load, signal,
    out-of-memory, end or another short word; ``seconds`` since the container's start."""

    seconds: float
    kind: str
    text: str
    log_line: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "kind": self.kind, "text": self.text, "log_line": self.log_line}


@dataclass(slots=True)
class Outcome:
    """What one phase established. ``facts`` None: the phase never got as far. ``others``: the containers of a pipeline
    behind the first, whose resources count, too."""

    phase: str
    network: Network = Network.REFUSE
    checks: list[CheckReport] = field(default_factory=list)
    facts: dict[str, Any] | None = None
    outgoing: list[dict[str, Any]] = field(default_factory=list)
    lost_calls: int = 0
    unseen_packets: int = 0
    peak_memory: int = 0
    problem: ProblemReport | None = None
    marks: list[Mark] = field(default_factory=list)
    seconds: float = 0.0
    resources: dict[str, list[float]] = field(default_factory=dict)
    others: tuple[Subject, ...] = ()
    #: Whether the kernel killed a process of it for memory, also where no check could judge that.
    out_of_memory: bool = False

    def mark(self, seconds: float, kind: str, text: str, log_line: int | None = None) -> None:
        self.marks.append(Mark(round(seconds, 3), kind, text, log_line))

    def run_facts(self) -> dict[str, Any]:
        """One container's life as the report shows it: its time axis, its marks, its resources."""
        return {
            "phase": self.phase,
            "network": self.network.value,
            "seconds": self.seconds,
            "marks": [mark.as_json() for mark in self.marks],
            "resources": self.resources,
        }

    def add(self, outcome: CheckOutcome, code: str, *, evidence: tuple[Evidence, ...] = (), **params: object) -> None:
        texts = {key: str(value) for key, value in params.items()}
        self.checks.append(CheckReport(code, outcome, texts, evidence))
        if outcome is CheckOutcome.FAIL and self.problem is None:
            self.problem = ProblemReport(code, texts, evidence)

    def passed(self, code: str, **params: object) -> None:
        self.add(CheckOutcome.PASS, code, **params)  # type: ignore[arg-type]

    def failed(self, code: str, evidence: tuple[Evidence, ...] = (), **params: object) -> None:
        self.add(CheckOutcome.FAIL, code, evidence=evidence, **params)

    def warned(self, code: str, evidence: tuple[Evidence, ...] = (), **params: object) -> None:
        self.add(CheckOutcome.WARN, code, evidence=evidence, **params)


@contextmanager
def containers(
    bench: Bench, outcome: Outcome, profile: Profile, path: str, more: Sequence[Mount] = (), place: Place = ALONE
) -> Iterator[tuple[Holder, Subject, str]]:
    """A holder with a fresh volume at ``path`` (and ``more``), and the container under test, not yet created; the
    volume's name.

    A seller's problem ends up in ``outcome`` (ours fly on), the calls recorded so far too. All is removed after.
    """
    outcome.network = bench.network
    with ExitStack() as stack:
        volume = f"slipway-{bench.name}-{outcome.phase}"
        bench.engine.create_volume(name=volume, labels=bench.labels)
        stack.callback(bench.engine.remove_volume, volume)
        own = volumes.declared(bench.engine, bench.image, volume, path)
        for other in own:
            bench.engine.create_volume(name=other.name, labels=bench.labels)
            stack.callback(bench.engine.remove_volume, other.name)
        mounts = [Mount(target=path, source=volume, type="volume", no_copy=True), *more, *(v.for_holder() for v in own)]
        holder = Holder.start(bench.engine, bench.holder_image, bench.labels, mounts, bench.stop, bench.network, place)
        stack.callback(holder.close)
        subject = Subject(bench.engine, holder, profile, bench.log, bench.stop, path, own)
        stack.callback(subject.close)
        try:
            yield holder, subject, volume
        except ProblemError as error:
            if get(error.code).owner is not Owner.SELLER:
                raise
            if outcome.problem is None or outcome.problem.code != error.code:  # else it is said already
                outcome.failed(error.code, error.report.evidence, **error.report.params)
        if subject.created:
            outcome.seconds = subject.lived
            _record_calls(outcome, holder, subject)
            judge_processes(outcome, subject)
            _account(outcome, subject)


def _record_calls(outcome: Outcome, holder: Holder, subject: Subject) -> None:
    found = holder.call("attempts", subject.stop)
    outcome.outgoing = describe(outcome.phase, outcome.network, found["attempts"], subject.pump)
    outcome.lost_calls, outcome.unseen_packets = int(found["overflow"]), int(found["dropped_packets"])


def _account(outcome: Outcome, subject: Subject) -> None:
    """What it and the others used over time, and whether the kernel killed a process at the very end: that comes to be
    known late."""
    run = [each for each in (subject, *outcome.others) if each.started]
    for each in run:
        if not each.out_of_memory:
            each.look_for_memory_kills()
            if each.out_of_memory:
                _amend_memory(outcome, each)
        outcome.out_of_memory = outcome.out_of_memory or each.out_of_memory
        for seconds in each.memory_kills:
            text = "the kernel killed a process for memory"
            since = each.started - subject.started
            outcome.mark(since + seconds, "out-of-memory", text, each.pump.nearest_line(seconds))
    used = [Used(each.started - subject.started, each.peak_memory, each.series()) for each in run]
    outcome.peak_memory, outcome.resources = together(used)


def _amend_memory(outcome: Outcome, subject: Subject) -> None:
    """The run went on to its end, so that it warns; where this host gave less memory, it stays open."""
    said = subject.memory_check
    if said is None or said.outcome not in (CheckOutcome.PASS, CheckOutcome.SKIP):
        return
    params = said.params | {"peak_mb": str(subject.peak_memory >> 20)}
    told = CheckOutcome.WARN if said.outcome is CheckOutcome.PASS else CheckOutcome.SKIP
    evidence = subject.last_lines(5)
    if told is CheckOutcome.SKIP:
        evidence = (_killed(subject), *evidence)
    index = next(index for index, check in enumerate(outcome.checks) if check is said)
    outcome.checks[index] = CheckReport(said.code, told, params, evidence)


def _killed(subject: Subject) -> Evidence:
    gib = f"{subject.profile.memory_bytes / (1 << 30):.3g}"
    text = f"the kernel killed a process at {gib} GiB, this host's share, and the run went on"
    return Evidence(text, label="not established")


def judge_processes(outcome: Outcome, subject: Subject) -> None:
    limit = subject.profile.pids
    if subject.most_processes < limit:
        return
    report = outcome.failed if outcome.problem else outcome.warned
    if outcome.problem:
        outcome.problem = None  # the limit explains what else went wrong
    report("TEST-PROCESSES", phase=outcome.phase, limit=limit)


def judge_memory(outcome: Outcome, subject: Subject, ended: Exit, first: tuple[Evidence, ...] = ()) -> bool:
    """Add the memory check. True where running out of memory explains the end. ``first``: evidence before its last
    lines.

    Where this host gave less than the instance type has, or the type's size is not known, nothing is judged; raises
    ProblemError TEST-HOST-TOO-SMALL where the run broke by it.
    """
    profile = subject.profile
    limit = f"{profile.memory_bytes / (1 << 30):.3g}"
    if not ended.out_of_memory:
        outcome.add(
            CheckOutcome.SKIP if profile.memory_clamped else CheckOutcome.PASS,
            "TEST-MEMORY", phase=outcome.phase, limit_gib=limit, peak_mb=subject.peak_memory >> 20,
        )  # fmt: skip
        subject.memory_check = outcome.checks[-1]
        return False
    broke, evidence = ended.code != 0, (*first, *subject.last_lines(5))
    if profile.memory_clamped and broke:
        raise ProblemError(
            "TEST-HOST-TOO-SMALL", evidence=evidence, instance_type=profile.instance_type, limit_gib=limit
        )
    told = CheckOutcome.FAIL if broke else CheckOutcome.WARN
    if profile.memory_clamped:
        told, evidence = CheckOutcome.SKIP, (_killed(subject), *evidence)
    outcome.add(
        told, "TEST-MEMORY", evidence=evidence,
        phase=outcome.phase, limit_gib=limit, peak_mb=subject.peak_memory >> 20,
    )  # fmt: skip
    return broke
