"""The inference run: ``serve`` as SageMaker starts it, its health check, the request samples, its stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from docker.types import Mount

from listings.problems import ProblemError
from listings.reports import CheckOutcome, Evidence
from listings.spec.models import InferenceTest, RequestSample
from workers.sandbox.holder_client import Answer, Holder
from workers.sandbox.model_files import Limits, unpack
from workers.sandbox.phase import MODEL, Bench, Outcome, containers, judge_memory, meaning_of, send_archive
from workers.sandbox.resources.profile import Profile
from workers.sandbox.samples import Samples
from workers.sandbox.serving.compare import difference
from workers.sandbox.subject import Exit, Subject

PORT = 8080
PING_SECONDS = 2.0
SLOW_START_SECONDS = 240.0  # the limit of 2023; today's is 480 s (settings.ping_deadline_seconds)
INVOCATION_SECONDS = 60.0
STOP_SECONDS = 30.0
MAX_ANSWER_BYTES = 8 << 20
USUAL_PAYLOAD_BYTES = 6 * 1024 * 1024  # what the runtime API's model allows in one real-time request
MAX_PAYLOAD_BYTES = 25 * 1024 * 1024  # what the Marketplace seller guide allows
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared with, not bound to
UNKNOWN_TYPE = "application/x-slipway-unknown"


def run(
    bench: Bench, test: InferenceTest, environment: Mapping[str, str], samples: Samples, model: IO[bytes] | None,
    profile: Profile,
) -> Outcome:  # fmt: skip
    """Serve ``model`` (a ``model.tar.gz``; None: the image holds its own) and send every request sample.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    outcome = Outcome("serve")
    bench.log.section("Inference")
    with containers(bench, outcome, profile, MODEL) as (holder, subject, volume):
        if model is not None:
            _place_model(bench, holder, model, profile)
        mount = Mount(target=MODEL, source=volume, type="volume", read_only=True, no_copy=True)
        subject.create(bench.image, "serve", bench.labels, [mount], {**environment, **test.environment})
        subject.start("serve")
        outcome.facts = {"first_ping_seconds": None, "requests": [], "stop_seconds": None, "exit_code": None}
        _await_ping(bench, outcome, outcome.facts, holder, subject)
        _judge_address(outcome, holder, subject)
        for sample in test.requests:
            _judge_payload(outcome, sample, samples)
            _request(bench, outcome, outcome.facts, holder, subject, sample, samples)
        _unknown_type(outcome, holder, subject)
        _stop(bench, outcome, outcome.facts, subject)
    return outcome


def _place_model(bench: Bench, holder: Holder, model: IO[bytes], profile: Profile) -> None:
    plain = bench.workdir / "model.tar"
    with plain.open("wb") as target:
        contents = unpack(model, target, Limits(profile.disk_bytes, profile.inodes))
    send_archive(holder, MODEL, plain, bench.stop)
    bench.log.line(f"/opt/ml/model: {contents.files} files, {contents.bytes} bytes, read-only", "slipway")


def _await_ping(bench: Bench, outcome: Outcome, facts: dict[str, Any], holder: Holder, subject: Subject) -> None:
    """Raises ProblemError TEST-SERVE-EXITED, TEST-SERVE-PING."""
    limit = settings.SLIPWAY.ping_deadline_seconds
    while True:
        _alive(outcome, subject)
        answer = holder.request("GET", "/ping", bench.stop, timeout=PING_SECONDS, max_bytes=1024)
        seconds = subject.seconds
        if answer.status == 200:
            break
        if seconds > limit:
            evidence = (Evidence(_describe(answer), label="/ping"), _listening(holder, subject), *subject.last_lines())
            raise ProblemError("TEST-SERVE-PING", evidence=evidence, limit=f"{limit:g}", answer=_describe(answer))
    facts["first_ping_seconds"] = seconds
    bench.log.line(f"GET /ping answered 200 after {seconds:g} s", "slipway")
    slow = seconds > SLOW_START_SECONDS
    outcome.add(
        CheckOutcome.WARN if slow else CheckOutcome.PASS, "TEST-SERVE-START",
        seconds=f"{seconds:g}", usual=f"{SLOW_START_SECONDS:g}",
    )  # fmt: skip


def _alive(outcome: Outcome, subject: Subject) -> None:
    """Raises ProblemError TEST-SERVE-EXITED, or ends with TEST-MEMORY, where the container has ended."""
    ended = subject.tick(0.1)
    if ended is not None:
        raise _exited(outcome, subject, ended)


def _exited(outcome: Outcome, subject: Subject, ended: Exit) -> ProblemError:
    if outcome.facts is not None:
        outcome.facts["exit_code"] = ended.code
    if judge_memory(outcome, subject, ended) and outcome.problem is not None:
        return ProblemError("TEST-SERVE-EXITED", exit_code=ended.code, meaning="out of memory", seconds=ended.seconds)
    return ProblemError(
        "TEST-SERVE-EXITED", evidence=subject.last_lines(),
        exit_code=ended.code, meaning=meaning_of(ended.code), seconds=ended.seconds,
    )  # fmt: skip


def _judge_address(outcome: Outcome, holder: Holder, subject: Subject) -> None:
    found = holder.call("listening", subject.stop)["listening"]
    addresses = [entry["address"] for entry in found if entry["port"] == PORT]
    if any(address in EVERYWHERE for address in addresses):
        outcome.passed("TEST-SERVE-LOOPBACK", address=", ".join(addresses))
    else:
        outcome.failed("TEST-SERVE-LOOPBACK", (_listening(holder, subject),), address=", ".join(addresses))


def _listening(holder: Holder, subject: Subject) -> Evidence:
    found = holder.call("listening", subject.stop)["listening"]
    places = [f"{entry['address']}:{entry['port']}" for entry in found if entry["port"] != 53]
    return Evidence(", ".join(places) or "no TCP port", label="listening on")


def _judge_payload(outcome: Outcome, sample: RequestSample, samples: Samples) -> None:
    """Raises ProblemError TEST-PAYLOAD for a body that no endpoint would accept."""
    size = samples.size(sample.body)
    if size > MAX_PAYLOAD_BYTES:
        raise ProblemError("TEST-PAYLOAD", name=sample.name, size=size, limit=MAX_PAYLOAD_BYTES)
    if size > USUAL_PAYLOAD_BYTES:
        outcome.warned("TEST-PAYLOAD", name=sample.name, size=size, limit=USUAL_PAYLOAD_BYTES)


def _request(
    bench: Bench, outcome: Outcome, facts: dict[str, Any], holder: Holder, subject: Subject, sample: RequestSample,
    samples: Samples,
) -> None:  # fmt: skip
    headers = {"Content-Type": sample.content_type, **({"Accept": sample.accept} if sample.accept else {})}
    answer = holder.request(
        "POST", "/invocations", bench.stop, timeout=INVOCATION_SECONDS, body=samples.read(sample.body),
        headers=headers, max_bytes=MAX_ANSWER_BYTES,
    )  # fmt: skip
    reason = _unlike(answer, sample, samples)
    content_type = str(answer.headers.get("content-type", ""))
    facts["requests"].append({
        "name": sample.name, "status": answer.status, "ms": answer.ms, "matched": not reason,
        "content_type": content_type, "bytes": answer.size, "error": answer.error,
    })  # fmt: skip
    bench.log.line(f"POST /invocations {sample.name}: {_describe(answer)} in {answer.ms:g} ms", "slipway")
    if not reason:
        outcome.passed("TEST-REQUEST", name=sample.name, status=answer.status, ms=f"{answer.ms:g}")
    else:
        shown = Evidence(answer.body[:2000].decode("utf-8", "replace"), label="answer")
        evidence = (Evidence(reason, label="difference"), shown, *subject.last_lines(8))
        outcome.failed("TEST-REQUEST", evidence, name=sample.name, reason=reason)
    _alive(outcome, subject)


def _unlike(answer: Answer, sample: RequestSample, samples: Samples) -> str:
    """What is wrong with an answer, "" if nothing."""
    if answer.error:
        return f"no answer: {_describe(answer)}"
    if answer.status != sample.expect.status:
        return f"status {answer.status}, {sample.expect.status} expected"
    if sample.expect.file is None:
        return ""
    if answer.size > MAX_ANSWER_BYTES:
        return f"an answer of {answer.size} bytes, too large to compare"
    return difference(samples.read(sample.expect.file), answer.body, sample.expect.tolerance)


def _unknown_type(outcome: Outcome, holder: Holder, subject: Subject) -> None:
    """A content type that nobody declared wants a 4xx and a server that lives on."""
    answer = holder.request(
        "POST", "/invocations", subject.stop, timeout=INVOCATION_SECONDS, body=b"\x00slipway",
        headers={"Content-Type": UNKNOWN_TYPE}, max_bytes=2000,
    )  # fmt: skip
    fine = 400 <= answer.status < 500
    evidence = (Evidence(answer.body.decode("utf-8", "replace"), label="answer"),) if answer.body and not fine else ()
    outcome.add(
        CheckOutcome.PASS if fine else CheckOutcome.WARN, "TEST-CONTENT-TYPE",
        evidence=evidence, content_type=UNKNOWN_TYPE, answer=_describe(answer),
    )  # fmt: skip
    _alive(outcome, subject)


def _stop(bench: Bench, outcome: Outcome, facts: dict[str, Any], subject: Subject) -> None:
    if subject.meter is not None:
        subject.meter.wait_for_sample(1.5)
    seconds, ended = subject.terminate(STOP_SECONDS)
    facts |= {"stop_seconds": seconds, "exit_code": ended.code}
    bench.log.line(f"SIGTERM: ended after {seconds:g} s with exit code {ended.code}", "slipway")
    killed = seconds >= STOP_SECONDS
    outcome.add(
        CheckOutcome.WARN if killed else CheckOutcome.PASS, "TEST-SERVE-STOP",
        seconds=f"{seconds:g}", limit=f"{STOP_SECONDS:g}",
    )  # fmt: skip
    judge_memory(outcome, subject, Exit(0, ended.out_of_memory, ended.seconds))


def _describe(answer: Answer) -> str:
    words = {
        "refused": "connection refused",
        "timeout": "no answer in time",
        "closed": "connection closed without an answer",
        "not-http": "not an HTTP answer",
        "io": "connection failed",
    }
    return words.get(answer.error, answer.error) if answer.error else f"status {answer.status}"
