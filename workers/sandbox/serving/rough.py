"""What a server does with bodies that are broken, empty or as large as SageMaker allows."""

from __future__ import annotations

import json
from collections.abc import Iterator

from listings.reports import CheckOutcome, Evidence
from listings.spec.models import RequestSample
from listings.spec.types import media_type
from workers.sandbox.serving.bodies import Padded, cut, is_json, is_text, noise, padded
from workers.sandbox.serving.probing import OutOfTime, Probing, describe, shown

MIB = 1 << 20
DEFAULT_PAYLOAD_MB = 6  # of one mini-batch of a transform job, and of one real-time request by the API
MAX_TYPES = 2


def bad_body(probing: Probing) -> None:
    """Random bytes and a sample that is cut off want a 4xx and a server that answers the next request as before."""
    found: list[str] = []
    evidence: list[Evidence] = []
    short = ""
    try:
        for sample, what, body, never_valid in _broken(probing):
            answer = probing.probe(body, sample.content_type, sample.accept)
            if answer.error or answer.status >= 500 or (never_valid and answer.status < 400):
                found.append(f"{what} as {sample.content_type}: {describe(answer)}")
                evidence += shown(answer)
    except OutOfTime as error:
        short = str(error)
    sample, before = probing.good[0]
    # It decides, so it gets the whole time of a request, whatever is left of the probes'.
    after = probing.post(probing.samples.read(sample.body), sample.content_type, sample.accept)
    if after.status != before.status:
        reason = f"after it the sample {sample.name} was no longer answered as before ({describe(after)})"
        probing.outcome.failed("TEST-BAD-BODY", (*shown(after), *probing.subject.last_lines(8)), reason=reason)
        return
    if short and not found:
        raise OutOfTime(short)
    probing.outcome.add(
        CheckOutcome.WARN if found else CheckOutcome.PASS, "TEST-BAD-BODY",
        evidence=(*evidence[:4], *(probing.subject.last_lines(6) if found else ())), reason="; ".join(found),
    )  # fmt: skip


def _broken(probing: Probing) -> Iterator[tuple[RequestSample, str, bytes, bool]]:
    """(sample, what was done to it, body, whether it can be no good one) for one sample of each content type."""
    by_type = {media_type(sample.content_type): sample for sample, _ in reversed(probing.good)}
    for sample in list(by_type.values())[:MAX_TYPES]:
        yield sample, "random bytes", noise(), is_text(sample.content_type)
        half = cut(probing.samples.read(sample.body))
        yield sample, "half of a sample", half, is_json(sample.content_type) and not _parses(half)


def _parses(body: bytes) -> bool:
    """Whether it is JSON all the same, as half of a number is."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def empty_body(probing: Probing) -> None:
    sample, _ = probing.good[0]
    answer = probing.probe(b"", sample.content_type, sample.accept)
    bad = bool(answer.error) or answer.status >= 500
    evidence = (*shown(answer), *probing.subject.last_lines(6)) if bad else ()
    probing.outcome.add(
        CheckOutcome.WARN if bad else CheckOutcome.PASS, "TEST-EMPTY-BODY", evidence=evidence, reason=describe(answer)
    )


def large_body(probing: Probing, megabytes: int = DEFAULT_PAYLOAD_MB) -> None:
    """A body of the greatest size that one request may have."""
    probing.mark("payload", f"a body of {megabytes} MiB")
    choices = [(sample, _padded(probing, sample, megabytes)) for sample, _ in probing.good]
    sample, body = next((pair for pair in choices if not pair[1].reason), choices[0])
    if body.reason:
        probing.say(f"TEST-LARGE-BODY skipped: {body.reason}")
        probing.skip("TEST-LARGE-BODY", body.reason, megabytes=megabytes)
        return
    answer = probing.probe(
        body.body, sample.content_type, sample.accept, padding=body.padding, padding_times=body.times
    )
    line = probing.say(f"POST /invocations {body.size} bytes: {describe(answer)} in {answer.ms:g} ms")
    probing.mark("payload", f"{megabytes} MiB: {describe(answer)}", line)
    sizes = {"size": body.size, "megabytes": megabytes, "ms": f"{answer.ms:.0f}"}
    reason = f"sample {sample.name}, {body.how}, was answered: {describe(answer)}"
    if 200 <= answer.status < 300:
        probing.outcome.passed("TEST-LARGE-BODY", reason=reason, **sizes)
        return
    evidence = (*shown(answer), *probing.subject.last_lines(6))
    if answer.status == 413:
        probing.outcome.failed("TEST-LARGE-BODY", evidence, reason=reason, **sizes)
    else:
        probing.outcome.warned("TEST-LARGE-BODY", evidence, reason=reason, **sizes)


def _padded(probing: Probing, sample: RequestSample, megabytes: int) -> Padded:
    return padded(probing.samples.read(sample.body), sample.content_type, megabytes * MIB)
