"""The request samples: each sent once, its answer compared with what the specification expects."""

from __future__ import annotations

import dataclasses
import time

from listings.problems import ProblemError
from listings.reports import Evidence
from listings.spec.models import RequestSample
from workers.sandbox.holder_client import Answer
from workers.sandbox.serving import probing as probes
from workers.sandbox.serving import schema, slowness
from workers.sandbox.serving.compare import differences, text_diff
from workers.sandbox.serving.probing import Probing, describe, shown

MAX_ANSWER_BYTES = 8 << 20
MAX_TEXT = 2000
USUAL_PAYLOAD_BYTES = 6 * 1024 * 1024  # what the runtime API's model allows in one real-time request
MAX_PAYLOAD_BYTES = 25 * 1024 * 1024  # what the Marketplace seller guide allows
#: For how long a server that has answered /ping may still refuse its first request before that is its own fault.
READY_SECONDS = 10.0
#: A first request that takes this long, and ten times as long as the second, has loaded the model.
SLOW_FIRST_MS, SLOW_FIRST_TIMES = 3000.0, 10.0


def send_all(probing: Probing) -> None:
    """Raises ProblemError TEST-PAYLOAD, TEST-SAMPLE-MISSING, TEST-SERVE-EXITED, TEST-MEMORY."""
    samples = probing.test.requests
    # A request that should succeed comes first: it shows whether /ping told the truth.
    first = next((sample for sample in samples if sample.expect.status < 400), None)
    for sample in sorted(samples, key=lambda sample: sample is not first):
        _judge_payload(probing, sample)
        computed = slowness.cpu_seconds(probing)
        answer = _first(probing, sample) if sample is first else _send(probing, sample)
        _require_survived(probing, sample, answer)
        _judge(probing, sample, answer, slowness.excuse(probing, answer, computed))
    names = [sample.name for sample in samples]
    probing.facts["requests"].sort(key=lambda sent: names.index(sent["name"]))


def _judge_payload(probing: Probing, sample: RequestSample) -> None:
    """Raises ProblemError TEST-PAYLOAD for a body that no endpoint would accept."""
    size = probing.samples.size(sample.body)
    if size > MAX_PAYLOAD_BYTES:
        raise ProblemError("TEST-PAYLOAD", name=sample.name, size=size, limit=MAX_PAYLOAD_BYTES)
    if size > USUAL_PAYLOAD_BYTES:
        probing.outcome.warned("TEST-PAYLOAD", name=sample.name, size=size, limit=USUAL_PAYLOAD_BYTES)


def _require_survived(probing: Probing, sample: RequestSample, answer: Answer) -> None:
    """Raises ProblemError TEST-SERVE-EXITED, TEST-MEMORY where a container has ended, with the request it ended at."""
    try:
        probing.require_survived(answer)
    except probes.Died as died:
        last = Evidence(f"POST /invocations of sample {sample.name}: {describe(answer)}", label="last request")
        raise probes.ended(probing, died, first=(last,)) from died


def _send(probing: Probing, sample: RequestSample) -> Answer:
    headers = {"Content-Type": sample.content_type, **({"Accept": sample.accept} if sample.accept else {})}
    return probing.holder.request(
        "POST", "/invocations", probing.bench.stop, timeout=probes.INVOCATION_SECONDS,
        body=probing.samples.read(sample.body), headers=headers, max_bytes=MAX_ANSWER_BYTES,
    )  # fmt: skip


def _first(probing: Probing, sample: RequestSample) -> Answer:
    """The answer to the first request after the first good ping; where it fails, the one that succeeds soon after."""
    begun = time.monotonic()
    first = answer = _send(probing, sample)
    while _not_ready(answer) and time.monotonic() - begun < READY_SECONDS:
        if probing.subject.tick(0.5) is not None:
            return answer
        answer = _send(probing, sample)
    if _not_ready(answer):
        return answer  # it does not succeed later either: its own check says so
    seconds = time.monotonic() - begun
    if answer is not first:
        reason = f"it answered {describe(first)} at first, and the sample {seconds:.1f} s later"
        probing.outcome.warned("TEST-SERVE-READY", shown(first), reason=reason)
        return answer
    if answer.error or answer.ms < SLOW_FIRST_MS or probing.subject.tick(0.02) is not None:
        reason = f"the first request after it took {answer.ms:.0f} ms"
    else:
        second = _send(probing, sample)
        reason = f"the first request after it took {first.ms:.0f} ms, the same one again {second.ms:.0f} ms"
        if first.ms > SLOW_FIRST_TIMES * second.ms and not second.error:
            probing.outcome.warned("TEST-SERVE-READY", reason=reason)
            return answer
    if not answer.error:
        probing.outcome.passed("TEST-SERVE-READY", reason=reason)
    return answer


def _not_ready(answer: Answer) -> bool:
    return answer.error in ("refused", "closed") or answer.status >= 500


def _judge(probing: Probing, sample: RequestSample, answer: Answer, share: tuple[Evidence, ...]) -> None:
    """``share``: the host's, where it may explain that no answer came in time."""
    found, diff = _unlike(probing, sample, answer)
    probing.facts["requests"].append({
        "name": sample.name, "status": answer.status, "ms": answer.ms, "matched": not found,
        "content_type": str(answer.headers.get("content-type", "")), "bytes": answer.size, "error": answer.error,
        "sha256": answer.sha256, "text": _text(answer.body), "differences": found,
    })  # fmt: skip
    line = probing.say(f"POST /invocations {sample.name}: {describe(answer)} in {answer.ms:g} ms")
    probing.mark("request", f"{sample.name}: {describe(answer)}", line)
    outcome = probing.outcome
    if not found:
        outcome.passed("TEST-REQUEST", name=sample.name, status=answer.status, ms=f"{answer.ms:g}")
        if answer.status < 400:
            # The bodies of fifty answers need not be kept.
            probing.good.append((sample, dataclasses.replace(answer, body=b"")))
        return
    evidence = [Evidence(text, label="difference") for text in found]
    evidence += [Evidence(diff, label="diff")] if diff else []
    evidence += [*shown(answer), *probing.subject.last_lines(8)]
    if answer.error == "timeout":
        probing.silent = True
        seconds = f"{probes.INVOCATION_SECONDS:g}"
        report = outcome.warned if share else outcome.failed
        report("TEST-REQUEST-TIME", (*share, *evidence), name=sample.name, reason=found[0], limit=seconds)
    else:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        outcome.failed("TEST-REQUEST", tuple(evidence), name=sample.name, reason=found[0] + more)


def _unlike(probing: Probing, sample: RequestSample, answer: Answer) -> tuple[list[str], str]:
    """What is wrong with an answer, in words, and a text's unified diff."""
    expect = sample.expect
    if answer.error:
        return [f"{probing.whose(answer)}no answer: {describe(answer)}"], ""
    if answer.status != expect.status:
        return [f"{probing.whose(answer)}status {answer.status}, {expect.status} expected"], ""
    if (expect.file or expect.json_schema) and answer.size > MAX_ANSWER_BYTES:
        return [f"an answer of {answer.size} bytes, too large to compare"], ""
    found, diff = [], ""
    if expect.file is not None:
        wanted = probing.samples.read(expect.file)
        found = differences(wanted, answer.body, expect.tolerance)
        diff = text_diff(wanted, answer.body) if found else ""
    if expect.json_schema is not None:
        try:
            found += schema.violations(probing.samples.read(expect.json_schema), answer.body)
        except schema.SchemaUnusable as error:
            # Nothing is known of the answer then, and the schema is to be mended first.
            probing.outcome.failed("TEST-SCHEMA", name=sample.name, path=expect.json_schema, reason=error)
            found.append(f"not compared: {expect.json_schema} cannot be used")
    return found, diff


def _text(body: bytes) -> str:
    """The first characters of an answer that is text; "" for any other."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "" if "\0" in text else text[:MAX_TEXT]
