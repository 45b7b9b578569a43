"""Whether memory grows with the requests: its growth per request, over the measured load and, where that is much, over
further rounds. What has filled its caches and pools by then stands still; what leaks grows in every round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from docker.errors import DockerException
from requests.exceptions import RequestException

from listings.reports import CheckOutcome, Evidence
from workers.engine import Engine
from workers.sandbox.resources.reading import Cgroup, from_engine
from workers.sandbox.serving.probing import OutOfTime, Probing

CODE = "TEST-MEMORY-GROWTH"
#: So much per request in every round, and so much in all, is called growth.
REQUEST_BYTES = 50 << 10
TOTAL_BYTES = 16 << 20
#: The measured load must have so many requests; each of the further rounds has so many, or seconds.
REQUESTS = 100
ROUNDS, ROUND_REQUESTS, ROUND_SECONDS = 3, 400, 1.0
#: Sends requests of parallel clients until there are so many or the seconds are over; how many there were.
Send = Callable[[Probing, int, float], int]


@dataclass(frozen=True, slots=True)
class Round:
    """``before`` and ``after``: bytes in use; None where nobody could say."""

    requests: int
    before: int | None
    after: int | None

    @property
    def grown(self) -> int:
        return (self.after or 0) - (self.before or 0)

    @property
    def grows(self) -> bool:
        return self.requests > 0 and self.grown >= REQUEST_BYTES * self.requests


def memory(probing: Probing) -> int | None:
    """Bytes that the containers use together, without what the kernel may drop; None where nobody says."""
    total = 0
    for subject in (probing.subject, *probing.others):
        used = _memory_of(probing.bench.engine, subject.id)
        if used is None:
            return None
        total += used
    return total


def _memory_of(engine: Engine, container_id: str) -> int | None:
    try:
        # The engine takes up to two seconds for a figure, the kernel's own files no time.
        group = Cgroup.of(int(engine.api.inspect_container(container_id)["State"]["Pid"]), container_id)
        reading = group.read() if group else from_engine(engine.api.stats(container_id, stream=False))
    except (DockerException, RequestException, KeyError):
        return None
    return reading.memory if reading else None


def judge(probing: Probing, measured: Round, send: Send) -> None:
    """``measured``: the load, before which the server was warm. Raises ProblemError, StepStopped."""
    if measured.requests < REQUESTS:
        probing.skip(CODE, f"fewer than {REQUESTS} requests in the time of the load")
        return
    rounds = [measured]
    try:
        # A server whose memory stands still costs no further round.
        while _is_known(rounds[-1]) and rounds[-1].grows and len(rounds) <= ROUNDS:
            rounds.append(_another(probing, rounds[-1], send))
    except OutOfTime as short:
        probing.skip(CODE, f"memory grew by {measured.grown >> 20} MiB, and whether it goes on is not known: {short}")
        return
    if not all(map(_is_known, rounds)):
        probing.skip(CODE, "no reading of memory")
        return
    _tell(probing, rounds)


def _is_known(one: Round) -> bool:
    return one.before is not None and one.after is not None


def _another(probing: Probing, last: Round, send: Send) -> Round:
    probing.require_time(ROUND_SECONDS + probing.needs)
    count = send(probing, ROUND_REQUESTS, ROUND_SECONDS)
    return Round(count, last.after, memory(probing))


def _tell(probing: Probing, rounds: list[Round]) -> None:
    first, last = rounds[0].before or 0, rounds[-1].after or 0
    requests = sum(each.requests for each in rounds)
    probing.facts["memory_growth"] = {"requests": requests, "first_bytes": first, "last_bytes": last}
    bad = len(rounds) > ROUNDS and all(each.grows for each in rounds) and last - first >= TOTAL_BYTES
    told = "; ".join(
        f"{each.grown / each.requests / 1024:.0f} KiB a request over {each.requests}"
        for each in rounds
        if each.requests  # on a very busy host, a round may have none
    )
    evidence = (Evidence(f"{told}: {first >> 20} MiB before, {last >> 20} MiB after", label="memory"),) if bad else ()
    probing.outcome.add(
        CheckOutcome.WARN if bad else CheckOutcome.PASS, CODE, evidence=evidence, requests=requests,
        grown_mb=max(0, last - first) >> 20, first_mb=first >> 20, last_mb=last >> 20,
    )  # fmt: skip
