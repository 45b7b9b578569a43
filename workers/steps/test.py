"""The isolated test: AWS's twin. What it checks and where it differs from AWS is in docs/twin.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from docker.errors import DockerException
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from listings import blobs
from listings.problems import ProblemError
from listings.reports import CheckOutcome, CheckReport, Evidence, StepReport
from listings.spec.models import InferenceTest, TrainingTest, VersionSpec
from workers.engine import LABEL_ATTEMPT, connect, problem_of
from workers.sandbox import outgoing
from workers.sandbox.holder_image import ensure_holder_image
from workers.sandbox.model_files import Limits
from workers.sandbox.phase import Bench, Outcome
from workers.sandbox.resources.advisor import advise
from workers.sandbox.resources.profile import Profile, profile_for
from workers.sandbox.samples import Samples, wanted_by
from workers.sandbox.serving import batch
from workers.sandbox.serving import run as serving
from workers.sandbox.staged import staged_image
from workers.sandbox.training import run as training
from workers.steps.contract import StepContext

#: Problems of a run that a call to nowhere may have caused: then the call itself fails its check.
BROKEN_RUN = {"TEST-TRAIN-EXIT", "TEST-TRAIN-TIMEOUT", "TEST-TRAIN-IDLE", "TEST-SERVE-EXITED", "TEST-SERVE-PING",
              "TEST-REQUEST", "TEST-REQUEST-TIME", "TEST-BATCH-START"}  # fmt: skip


#: One call to the engine may unpack gigabytes of model files before it answers.
ENGINE_SECONDS = 900


def execute(context: StepContext) -> StepReport:
    """Train and serve the staged image as SageMaker would, with nothing to call.

    Raises ProblemError for what is not the seller's fault, StepStopped; a container that breaks the contract
    comes back as a report with its problem, every check and all facts.
    """
    spec = VersionSpec.model_validate(context.facts["fetch"]["spec"])
    log = context.log
    engine = connect(timeout=ENGINE_SECONDS)
    try:
        holder_image = ensure_holder_image(engine)
        log.section("Image")
        staged = context.staged
        with staged_image(engine, staged.repository, staged.digest, context.stop) as image:
            log.line(f"testing {staged.digest} without a network", "slipway")
            name = str(context.labels.get(LABEL_ATTEMPT, context.attempt_id))
            bench = Bench(engine, image, holder_image, dict(context.labels), name, log, context.stop, context.workdir)
            return _test(bench, context, spec)
    except (DockerException, RequestException, HTTPError) as error:
        raise problem_of(error) from error
    except ProblemError as error:
        engine.require()
        # Found before a container ran: a sample that is not in the source, an archive that cannot be unpacked.
        return StepReport(problem=error.report)
    finally:
        engine.close()


def _test(bench: Bench, context: StepContext, spec: VersionSpec) -> StepReport:
    limits = Limits(settings.SLIPWAY.test_disk_mb << 20, settings.SLIPWAY.test_inodes)
    archive = str(context.facts["fetch"]["archive_sha256"])
    samples = Samples.extract(archive, wanted_by(spec), bench.workdir / "samples", limits)
    outcomes: list[Outcome] = []
    profiles: dict[str, Profile] = {}
    model_sha256: str | None = context.facts["fetch"].get("artifact_sha256")
    trained: Path | None = None
    if spec.training is not None:
        test = spec.tests.training or TrainingTest()
        profiles["train"] = profile_for(bench.engine, test.instance_type)
        mode = _input_mode(spec)
        outcome, trained = training.run(bench, spec.training, test, mode, samples, profiles["train"])
        outcomes.append(outcome)
        model_sha256 = (outcome.facts or {}).get("model_sha256")
    if spec.inference is not None and all(outcome.problem is None for outcome in outcomes):
        test_inference = spec.tests.inference or InferenceTest()
        profiles["serve"] = profile_for(bench.engine, test_inference.instance_type)
        with _model(trained, model_sha256) as model:
            served = serving.run(bench, test_inference, spec.inference, samples, model, profiles["serve"])
        outcomes.append(served)
        if batch.is_worth_a_run(served):
            with _model(trained, model_sha256) as model:
                outcomes.append(
                    batch.run(bench, test_inference, spec.inference, samples, model, profiles["serve"], served)
                )
    return _report(spec, outcomes, profiles, model_sha256)


def _input_mode(spec: VersionSpec) -> str:
    """Raises ProblemError TEST-INPUT-MODE for an algorithm that reads its data through pipes only."""
    mode = spec.training_input_mode()
    if mode not in ("File", "FastFile"):
        raise ProblemError("TEST-INPUT-MODE", mode=mode or "no mode that all channels share")
    return mode


@contextmanager
def _model(trained: Path | None, sha256: str | None) -> Iterator[IO[bytes] | None]:
    """The archive to serve: what training just produced, else the version's artifact, else none."""
    if trained is not None:
        with trained.open("rb") as file:
            yield file
    elif sha256 is not None:
        with blobs.open_blob(sha256) as stored:
            yield stored
    else:
        yield None


def _report(
    spec: VersionSpec, outcomes: list[Outcome], profiles: dict[str, Profile], model_sha256: str | None
) -> StepReport:
    calls = [call for outcome in outcomes for call in outcome.outgoing]
    problem = next((outcome.problem for outcome in outcomes if outcome.problem), None)
    broken = problem is not None and problem.code in BROKEN_RUN
    checks = [check for outcome in outcomes for check in outcome.checks]
    checks.append(outgoing.check(calls, sum(outcome.lost_calls for outcome in outcomes), broken))
    checks += [_size_check(profile) for profile in dict.fromkeys(profiles.values())]
    advice, instance_checks = advise(spec, outcomes, profiles)
    checks += instance_checks
    by_phase: dict[str, dict[str, Any] | None] = {outcome.phase: outcome.facts for outcome in outcomes}
    facts = {
        "profile": list(profiles.values())[-1].as_json(),
        "profiles": {phase: profile.as_json() for phase, profile in profiles.items()},
        "training": by_phase.get("train"),
        "inference": by_phase.get("serve"),
        "batch": by_phase.get("serve-batch"),
        "model_sha256": model_sha256,
        "outgoing": calls,
        "runs": [outcome.run_facts() for outcome in outcomes],
        "peak_memory_bytes": max((outcome.peak_memory for outcome in outcomes), default=0),
        **advice,
    }
    return StepReport(facts=facts, checks=tuple(checks), problem=problem)


def _size_check(profile: Profile) -> CheckReport:
    """Run at the size of the chosen instance type, or not: then what was seen of its resources proves nothing."""
    params = {"instance_type": profile.instance_type or "the host's share", "clamped": ", ".join(profile.clamped)}
    evidence = tuple(Evidence(f"run at {text}") for text in profile.clamped)
    outcome = CheckOutcome.SKIP if profile.clamped else CheckOutcome.PASS
    return CheckReport("TEST-SIZE", outcome, params, evidence)
