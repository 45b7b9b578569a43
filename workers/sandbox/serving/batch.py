"""A second run of ``serve``, as a batch transform job starts it: its environment, its records one by one and joined."""

from __future__ import annotations

from dataclasses import replace
from typing import IO, Any

from django.conf import settings

from listings.problems import ProblemError
from listings.spec.models import Inference, InferenceTest, RequestSample
from workers.sandbox.holder_client import Answer
from workers.sandbox.phase import MODEL, Bench, Outcome, containers, judge_memory
from workers.sandbox.plan import SHARE
from workers.sandbox.resources.profile import Profile
from workers.sandbox.samples import Samples
from workers.sandbox.serving import execution, records, rough, signs
from workers.sandbox.serving.patches import add_patches
from workers.sandbox.serving.probing import Probe, Probing, run_probes
from workers.sandbox.serving.run import begin, place_model
from workers.sandbox.serving.start import await_ping
from workers.sandbox.subject import Exit

START_CODES = ("TEST-SERVE-PING", "TEST-SERVE-EXITED")
#: InvocationsTimeoutInSeconds where the job does not say, as the one that is registered does not.
REQUEST_SECONDS = 600.0
#: For all requests of the run, and no more than further runs leave of the step's time.
PROBE_SECONDS = 1800.0
END_SECONDS = 5.0


def is_worth_a_run(served: Outcome) -> bool:
    """Whether the run before came to its end with a sample that succeeded."""
    facts = served.facts or {}
    good = [sent for sent in facts.get("requests", []) if sent["matched"] and sent["status"] < 400]
    return facts.get("stop_seconds") is not None and bool(good)


def run(
    bench: Bench, test: InferenceTest, inference: Inference, samples: Samples, model: IO[bytes] | None,
    profile: Profile, served: Outcome,
) -> Outcome:  # fmt: skip
    """Serve once more in batch mode. ``served``: the run before, whose facts get the execution parameters.

    Raises ProblemError for what is not the seller's, StepStopped.
    """
    outcome, log = Outcome("serve-batch"), signs.WatchedLog(bench.log)
    bench = replace(bench, log=log)
    bench.section("Inference in batch mode")
    known = (served.facts or {}).get("execution_parameters")
    with containers(bench, outcome, profile, MODEL) as (holder, subject, volume):
        place_model(bench, holder, model)
        outcome.facts = {"first_ping_seconds": None, "records": [], "stop_seconds": None, "exit_code": None}
        probing = Probing(
            bench, outcome, holder, subject, samples, inference, test, outcome.facts, request_seconds=REQUEST_SECONDS,
            budget=min(PROBE_SECONDS, (1 - SHARE) * settings.SLIPWAY.test_timeout_seconds),
        )  # fmt: skip
        begin(probing, volume, _environment(execution.settings_of(known)))
        try:
            await_ping(probing)
        except ProblemError as error:
            if error.code not in START_CODES:
                raise
            raise ProblemError("TEST-BATCH-START", evidence=error.report.evidence, reason=_why(error)) from error
        outcome.passed("TEST-BATCH-START", seconds=outcome.facts["first_ping_seconds"])
        probing.good = _good(test, served)
        run_probes(probing, [
            Probe(("TEST-EXECUTION-PARAMETERS",), lambda each: _parameters(each, served), needs_sample=False),
            Probe(("TEST-BATCH-RECORDS",), records.judge, deadly="TEST-BATCH-RECORDS"),
            Probe(("TEST-LARGE-BODY",), lambda each: _payload(each, served), deadly="TEST-LARGE-BODY"),
        ])  # fmt: skip
        _end(probing)
    signs.judge(outcome, log, say_none=False)
    add_patches(outcome)
    return outcome


def _environment(wanted: dict[str, Any]) -> dict[str, str]:
    """What SageMaker sets in the containers of a transform job."""
    return {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(wanted["MaxPayloadInMB"]),
        "SAGEMAKER_BATCH_STRATEGY": str(wanted["BatchStrategy"]),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(wanted["MaxConcurrentTransforms"]),
    }


def _why(error: ProblemError) -> str:
    params = error.report.params
    if error.code == "TEST-SERVE-PING":
        return f"/ping was not answered with 200 within {params['limit']} seconds; the last answer: {params['answer']}"
    return f"the container ended with exit code {params['exit_code']}, {params['meaning']}"


def _good(test: InferenceTest, served: Outcome) -> list[tuple[RequestSample, Answer]]:
    """The samples that succeeded in the run before, and how they were answered there."""
    sent = {each["name"]: each for each in (served.facts or {}).get("requests", []) if each["matched"]}
    found = [(sample, sent[sample.name]) for sample in test.requests if sample.name in sent]
    return [(sample, Answer(status=each["status"], ms=each["ms"])) for sample, each in found if each["status"] < 400]


def _parameters(probing: Probing, served: Outcome) -> None:
    parameters = execution.judge(probing)
    if served.facts is not None and served.facts.get("execution_parameters") is None:
        served.facts["execution_parameters"] = parameters


def _payload(probing: Probing, served: Outcome) -> None:
    """A mini-batch of the declared size, where that is more than what the run before has tried."""
    megabytes = execution.settings_of((served.facts or {}).get("execution_parameters"))["MaxPayloadInMB"]
    if megabytes > rough.DEFAULT_PAYLOAD_MB:
        rough.large_body(probing, megabytes)


def _end(probing: Probing) -> None:
    """Not judged here: the run before has shown how it stops."""
    seconds, ended = probing.subject.terminate(END_SECONDS)
    probing.facts |= {"stop_seconds": seconds, "exit_code": ended.code}
    judge_memory(probing.outcome, probing.subject, Exit(0, ended.out_of_memory, ended.seconds))
