"""Content types as SageMaker's callers send them: every declared one, with a charset, with each declared Accept."""

from __future__ import annotations

from collections.abc import Iterable

from listings.reports import CheckOutcome
from listings.spec.models import RequestSample
from listings.spec.types import media_type
from workers.sandbox.holder_client import Answer
from workers.sandbox.serving.bodies import is_text
from workers.sandbox.serving.probing import Probing, describe, shown

UNKNOWN_TYPE = "application/x-slipway-unknown"
MAX_TRIED = 3
#: What SageMaker may hand on from a caller besides the types.
CALLERS_HEADERS = {
    "X-Amzn-SageMaker-Custom-Attributes": "trace-id=slipway,tenant=1",
    "X-Amzn-SageMaker-Inference-Id": "slipway-1",
}


def input_types(probing: Probing) -> None:
    """Each declared content type: served, or not established because no sample has it."""
    served = {media_type(sample.content_type) for sample, _ in probing.good}
    asked = {media_type(s.content_type) for s in probing.test.requests if s.expect.status < 400}
    for declared in probing.inference.SupportedContentTypes:
        if media_type(declared) in served:
            probing.outcome.passed("TEST-INPUT-TYPE", content_type=declared)
        else:
            why = "its sample did not succeed" if media_type(declared) in asked else "no sample has this type"
            probing.skip("TEST-INPUT-TYPE", why, content_type=declared)


def charset(probing: Probing) -> None:
    """A parameter behind the type changes nothing."""
    for sample, before in _one_of_each(probing):
        if not is_text(sample.content_type):
            continue
        bare = media_type(sample.content_type)
        other = bare if ";" in sample.content_type else f"{bare}; charset=utf-8"
        answer = probing.probe(probing.samples.read(sample.body), other, sample.accept)
        fine = answer.status == before.status
        probing.outcome.add(
            CheckOutcome.PASS if fine else CheckOutcome.WARN, "TEST-CHARSET", evidence=() if fine else shown(answer),
            content_type=other, reason=describe(answer), usual=sample.content_type,
        )  # fmt: skip


def accept(probing: Probing) -> None:
    """Each declared response type is answered with a declared one; so is each sample."""
    declared = probing.inference.SupportedResponseMIMETypes
    for wanted in declared:
        answer, reason = None, "no sample succeeded"
        for sample, _ in _candidates(probing, wanted):
            answer = probing.probe(probing.samples.read(sample.body), sample.content_type, wanted)
            reason = _undeclared(answer, declared)
            if not reason:
                break
        _say_accept(probing, wanted, answer, reason)
    for sample, answer in probing.good:
        if not sample.accept and (reason := _undeclared(answer, declared)):
            _say_accept(probing, f"none (sample {sample.name})", answer, reason)


def _say_accept(probing: Probing, wanted: str, answer: Answer | None, reason: str) -> None:
    found = str(answer.headers.get("content-type", "")) if answer else ""
    probing.outcome.add(
        CheckOutcome.WARN if reason else CheckOutcome.PASS, "TEST-ACCEPT",
        evidence=shown(answer) if answer and reason else (), accept=wanted, reason=reason, content_type=found,
    )  # fmt: skip


def _candidates(probing: Probing, wanted: str) -> list[tuple[RequestSample, Answer]]:
    """Samples to ask for ``wanted`` with: those that ask for it, then those that ask for nothing, then others."""

    def order(pair: tuple[RequestSample, Answer]) -> int:
        asked = pair[0].accept
        return 0 if asked and media_type(asked) == media_type(wanted) else 2 if asked else 1

    return sorted(_one_of_each(probing, with_accept=True), key=order)[:MAX_TRIED]


def _one_of_each(probing: Probing, *, with_accept: bool = False) -> Iterable[tuple[RequestSample, Answer]]:
    """The first good sample of each declared content type, or of each type and Accept."""
    declared = {media_type(each) for each in probing.inference.SupportedContentTypes}
    found: dict[tuple[str, str], tuple[RequestSample, Answer]] = {}
    for sample, answer in probing.good:
        kind = media_type(sample.content_type)
        if kind in declared:
            found.setdefault((kind, sample.accept or "" if with_accept else ""), (sample, answer))
    return found.values()


def _undeclared(answer: Answer, declared: Iterable[str]) -> str:
    """What is wrong with the type of an answer; "" if nothing."""
    if answer.error or not 200 <= answer.status < 300:
        return describe(answer)
    kind = str(answer.headers.get("content-type", ""))
    if not kind:
        return "the answer has no Content-Type"
    known = {media_type(each) for each in declared}
    return "" if media_type(kind) in known else f"the answer is {kind[:100]}, which is not declared"


def headers(probing: Probing) -> None:
    """What a caller may add to a request does not break it."""
    sample, before = probing.good[0]
    answer = probing.send(sample, headers=CALLERS_HEADERS)
    fine = answer.status == before.status
    probing.outcome.add(
        CheckOutcome.PASS if fine else CheckOutcome.WARN, "TEST-HEADERS", evidence=() if fine else shown(answer),
        reason=describe(answer), usual=before.status,
    )  # fmt: skip


def unknown_type(probing: Probing) -> None:
    """A content type that nobody declared wants a 4xx and a server that lives on."""
    answer = probing.probe(b"\x00slipway", UNKNOWN_TYPE)
    fine = 400 <= answer.status < 500
    probing.outcome.add(
        CheckOutcome.PASS if fine else CheckOutcome.WARN, "TEST-CONTENT-TYPE",
        evidence=() if fine else shown(answer), content_type=UNKNOWN_TYPE, answer=describe(answer),
    )  # fmt: skip
