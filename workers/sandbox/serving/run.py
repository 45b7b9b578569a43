"""The inference run: ``serve`` as SageMaker starts it, its health check, the request samples, probes, its stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import IO, Any

from docker.types import Mount

from listings.spec.models import Inference, InferenceTest
from workers.sandbox.holder_client import Holder
from workers.sandbox.model_files import Contents, Limits, unpacked
from workers.sandbox.network import Network
from workers.sandbox.phase import MODEL, Bench, Outcome, containers, judge_memory
from workers.sandbox.resources.profile import Profile
from workers.sandbox.samples import Samples
from workers.sandbox.sending import send
from workers.sandbox.serving import execution, load, negotiation, requests, rough, signs, start
from workers.sandbox.serving.patches import add_patches
from workers.sandbox.serving.probing import Probe, Probing, run_probes
from workers.sandbox.subject import Exit
from workers.sources.artifact import MAX_BYTES, MAX_MEMBERS

STOP_SECONDS = 30.0


def run(
    bench: Bench, test: InferenceTest, inference: Inference, samples: Samples, model: IO[bytes] | None,
    profile: Profile,
) -> Outcome:  # fmt: skip
    """Serve ``model`` (a ``model.tar.gz``; None: the image holds its own), send every request sample, and, where the
    run decides, probe the server in every way that SageMaker's callers may use it.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    outcome, log = Outcome("serve", bench.network), signs.WatchedLog(bench.log)
    bench = replace(bench, log=log)
    bench.section("Inference")
    with containers(bench, outcome, profile, MODEL) as (holder, subject, volume):
        place_model(bench, holder, model)
        outcome.facts = no_facts()
        probing = Probing(bench, outcome, holder, subject, samples, inference, test, outcome.facts)
        begin(probing, volume, {})
        start.judge_start(probing, start.await_ping(probing))
        start.judge_address(probing)
        requests.send_all(probing)
        if bench.network is Network.REFUSE:
            run_probes(probing, PROBES)
        _stop(probing)
    signs.judge(outcome, log, say_none=outcome.facts is not None)
    add_patches(outcome)
    return outcome


def no_facts() -> dict[str, Any]:
    return {
        "first_ping_seconds": None, "port_seconds": None, "requests": [], "stop_seconds": None, "exit_code": None,
        "load": None, "memory_growth": None, "execution_parameters": None, "probing_seconds": None,
    }  # fmt: skip


def _largest(probing: Probing) -> None:
    """The largest real-time request, or what the container itself says it takes where that is less."""
    said = execution.read(execution.ask(probing))
    probing.facts["execution_parameters"] = said
    declared = int(execution.settings_of(said)["MaxPayloadInMB"])
    rough.large_body(probing, min(declared or rough.DEFAULT_PAYLOAD_MB, rough.DEFAULT_PAYLOAD_MB))


#: In this order: what costs little first, what may hurt the server last.
PROBES = (
    Probe(("TEST-CONTENT-TYPE",), negotiation.unknown_type, needs_sample=False),
    Probe(("TEST-PING-SLOW",), start.judge_idle_ping, needs_sample=False),
    Probe(("TEST-INPUT-TYPE",), negotiation.input_types),
    Probe(("TEST-CHARSET",), negotiation.charset),
    Probe(("TEST-ACCEPT",), negotiation.accept),
    Probe(("TEST-HEADERS",), negotiation.headers),
    Probe(("TEST-EMPTY-BODY",), rough.empty_body, deadly="TEST-EMPTY-BODY"),
    Probe(("TEST-BAD-BODY",), rough.bad_body, deadly="TEST-BAD-BODY"),
    Probe(load.CODES, load.parallel_clients, deadly="TEST-LOAD"),
    Probe(("TEST-LARGE-BODY",), _largest, deadly="TEST-LARGE-BODY"),
)


def place_model(bench: Bench, holder: Holder, model: IO[bytes] | None, place: str = MODEL) -> None:
    """Unpack the archive into the volume that the holder has at ``place``. It is bounded as AWS bounds it, not by what
    the container may write. Raises ProblemError TEST-ARTIFACT, TEST-HOST-ROOM."""
    if model is None:
        return
    contents = Contents()
    send(holder, place, unpacked(model, Limits(MAX_BYTES, MAX_MEMBERS), contents), bench.stop, "the model")
    bench.log.line(f"/opt/ml/model: {contents.files} files, {contents.bytes} bytes, read-only", "slipway")


def begin(probing: Probing, volume: str, environment: Mapping[str, str]) -> None:
    """Start ``serve``, its model read-only. ``environment``: what SageMaker adds to the version's own."""
    mount = Mount(target=MODEL, source=volume, type="volume", read_only=True, no_copy=True)
    given = {**environment, **probing.inference.Environment, **probing.test.environment}
    probing.subject.create(probing.bench.image, "serve", probing.bench.labels, [mount], given)
    probing.subject.start("serve")


def judge_stop(probing: Probing, seconds: float, limit: float) -> None:
    """Whether it ended within ``limit``, having taken ``seconds``. One that first lets a request finish does well."""
    took, allowed = f"{seconds:g}", f"{limit:g}"
    if seconds < limit:
        probing.outcome.passed("TEST-SERVE-STOP", seconds=took, limit=allowed)
    elif probing.abandoned or probing.silent:
        reason = "when SIGTERM came it may have been at work on a request that had no answer in time"
        probing.skip("TEST-SERVE-STOP", reason, seconds=took, limit=allowed)
    else:
        probing.outcome.warned("TEST-SERVE-STOP", seconds=took, limit=allowed)


def _stop(probing: Probing) -> None:
    subject, outcome = probing.subject, probing.outcome
    if subject.meter is not None:
        subject.meter.wait_for_sample(1.5)
    probing.mark("signal", "SIGTERM")
    seconds, ended = subject.terminate(STOP_SECONDS)
    probing.facts |= {"stop_seconds": seconds, "exit_code": ended.code}
    line = probing.say(f"SIGTERM: ended after {seconds:g} s with exit code {ended.code}")
    probing.mark("end", f"exit code {ended.code}", line)
    judge_stop(probing, seconds, STOP_SECONDS)
    judge_memory(outcome, subject, Exit(0, ended.out_of_memory, ended.seconds))
