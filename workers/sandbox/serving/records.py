"""The requests that batch transform jobs make of a file: all of it in one, as the job that AWS validates a product with
(SplitType None), or its lines one by one or joined, as a buyer's job may (SplitType Line)."""

from __future__ import annotations

from dataclasses import dataclass, field

from listings.reports import CheckOutcome, Evidence
from listings.spec.models import RequestSample
from listings.spec.types import media_type
from workers.sandbox.holder_client import Answer
from workers.sandbox.serving import bodies, slowness
from workers.sandbox.serving.probing import OutOfTime, Probing, describe, shown

CODE = "TEST-BATCH-RECORDS"
MAX_SAMPLES = 3
#: So many records are joined, or as many as are likely answered in so many seconds, so that a slow model's step ends.
MAX_RECORDS, JOINED_SECONDS = 100, 60.0
WHOLE, SINGLE, JOINED, HEADER = "whole file", "SingleRecord", "MultiRecord", "header line as a record"


@dataclass(slots=True)
class _Tried:
    """``failing``: what breaks the job that validates the product; ``warning``: what breaks another."""

    probing: Probing
    failing: list[str] = field(default_factory=list)
    warning: list[str] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)

    def send(self, sample: RequestSample, kind: str, count: int, body: bytes, *, decides: bool = False) -> Answer:
        """Raises OutOfTime, Died, StepStopped."""
        probing = self.probing
        computed = slowness.cpu_seconds(probing)
        answer = probing.probe(body, sample.content_type, sample.accept)
        share = slowness.excuse(probing, answer, computed)
        probing.facts["records"].append(
            {"name": sample.name, "kind": kind, "records": count, "status": answer.status, "ms": answer.ms}
        )
        text = f"{kind}, {count} of sample {sample.name}: {describe(answer)}"
        probing.mark("request", text, probing.say(f"POST /invocations {text} in {answer.ms:g} ms"))
        if not 200 <= answer.status < 300:
            (self.failing if decides and not share else self.warning).append(text)
            self.evidence += (*share, *shown(answer))
        if answer.error == "timeout":
            raise OutOfTime("after a request without an answer no more are sent")
        return answer


def judge(probing: Probing) -> None:
    """The first good sample as a whole decides: it is the one that the job gets which validates the product."""
    tried, short = _Tried(probing), ""
    by_type: dict[str, RequestSample] = {}
    for sample, _ in probing.good:
        by_type.setdefault(media_type(sample.content_type), sample)
    try:
        for index, sample in enumerate(list(by_type.values())[:MAX_SAMPLES]):
            body = probing.samples.read(sample.body)
            header, lines = bodies.records(body) if bodies.is_lines(sample.content_type) else (b"", [])
            whole = tried.send(sample, WHOLE, len(lines) or 1, body, decides=index == 0)
            if lines:
                _send_split(tried, sample, header, lines, whole.ms / len(lines))
    except OutOfTime as error:
        short = str(error)
    _tell(tried, short)


def _send_split(tried: _Tried, sample: RequestSample, header: bytes, lines: list[bytes], ms: float) -> None:
    """``ms``: what a record took as part of the whole file."""
    single = tried.send(sample, SINGLE, 1, lines[0].rstrip(b"\n"))
    if header:
        # SageMaker splits at line ends and knows no header line: it is a record like any other.
        tried.send(sample, HEADER, 1, header.rstrip(b"\n"))
    most = min(MAX_RECORDS, max(2, int(JOINED_SECONDS * 1000 / max(1.0, single.ms, ms))))
    tried.send(sample, JOINED, most, b"".join((lines * most)[:most]))


def _tell(tried: _Tried, short: str) -> None:
    """Raises OutOfTime where the time ended before a fault was found."""
    faults = tried.failing + tried.warning
    if short and not faults:
        raise OutOfTime(short)
    if short:
        tried.probing.say(f"{CODE} was cut short: {short}")
    told = CheckOutcome.FAIL if tried.failing else CheckOutcome.WARN if faults else CheckOutcome.PASS
    evidence = [*tried.evidence, *(tried.probing.subject.last_lines(6) if faults else ())]
    count = len(tried.probing.facts["records"])
    tried.probing.outcome.add(told, CODE, evidence=tuple(evidence[:12]), reason="; ".join(faults), count=count)
