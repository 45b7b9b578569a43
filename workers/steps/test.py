"""The isolated test: AWS's twin. What it checks and where it differs from AWS is in docs/twin.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from docker.errors import DockerException
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from listings import blobs
from listings.problems import ProblemError
from listings.reports import CheckOutcome, CheckReport, Evidence, ProblemReport, StepReport
from listings.spec.models import Inference, InferenceTest, Training, TrainingTest, VersionSpec
from workers.engine import LABEL_ATTEMPT, connect, problem_of
from workers.sandbox import hosts, outgoing
from workers.sandbox.holder_image import ensure_holder_image
from workers.sandbox.model_files import Limits
from workers.sandbox.network import Network
from workers.sandbox.phase import Bench, Outcome
from workers.sandbox.plan import NO_TIME, Plan, diagnosis_limit, within_the_step
from workers.sandbox.resources.advisor import advise
from workers.sandbox.resources.profile import Profile, profile_for
from workers.sandbox.samples import Samples, wanted_by
from workers.sandbox.serving import batch, pipeline
from workers.sandbox.serving import run as serving
from workers.sandbox.serving.pipeline import Model
from workers.sandbox.serving.probing import INVOCATION_SECONDS, PROBE_SECONDS
from workers.sandbox.staged import staged_image
from workers.sandbox.training import probes
from workers.sandbox.training import run as training
from workers.steps.contract import StepContext

#: Calls that the facts list, of all runs together.
MAX_CALLS = 2000
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
    spec = within_the_step(spec, bench.log)
    limits = Limits(settings.SLIPWAY.test_disk_mb << 20, settings.SLIPWAY.test_inodes)
    archive = str(context.facts["fetch"]["archive_sha256"])
    samples = Samples.extract(archive, wanted_by(spec), bench.workdir / "samples", limits)
    plan = Plan(bench)
    profiles: dict[str, Profile] = {}
    try:
        _run_all(bench, context, spec, samples, plan, profiles)
    except ProblemError as error:
        if not plan.outcomes:
            raise
        bench.engine.require()
        # What the runs before it have found is true all the same.
        return replace(_report(spec, plan, profiles, _served_model(context, spec, plan)), problem=error.report)
    return _report(spec, plan, profiles, _served_model(context, spec, plan))


def _served_model(context: StepContext, spec: VersionSpec, plan: Plan) -> str | None:
    """SHA-256 of the model's archive: what training left, else the version's artifact."""
    if spec.training is not None:
        return (plan.outcomes[0].facts or {}).get("model_sha256")
    return context.facts["fetch"].get("artifact_sha256")


def _run_all(
    bench: Bench, context: StepContext, spec: VersionSpec, samples: Samples, plan: Plan, profiles: dict[str, Profile]
) -> None:
    """Every run that the spec gives reason for, into ``plan``. Raises ProblemError for what is not the seller's fault,
    StepStopped."""
    model_sha256: str | None = context.facts["fetch"].get("artifact_sha256")
    trained: Path | None = None
    if spec.training is not None:
        test = spec.tests.training or TrainingTest()
        profiles["train"] = profile_for(bench.engine, test.instance_type)
        trained = _train(plan, bench, spec, spec.training, test, samples, profiles["train"])
        model_sha256 = _served_model(context, spec, plan)
    if spec.inference is not None and plan.problem is None:
        test_inference = spec.tests.inference or InferenceTest()
        profiles["serve"] = profile_for(bench.engine, test_inference.instance_type)
        models = _models(spec.inference, context.facts["fetch"], trained, model_sha256)
        _serve(plan, bench, spec.inference, test_inference, samples, models, profiles["serve"])
    plan.add(*probes.run(bench, spec, samples, profiles, plan.verdicts, plan.has_time))
    if spec.training is not None and plan.problem is None:
        test = spec.tests.training or TrainingTest()
        seconds = float((plan.outcomes[0].facts or {}).get("seconds", 0))
        plan.add(*hosts.run(
            bench, spec.training, test, samples, profiles["train"], seconds=seconds, has_time=plan.has_time
        ))  # fmt: skip


def _train(
    plan: Plan, bench: Bench, spec: VersionSpec, training_spec: Training, test: TrainingTest, samples: Samples,
    profile: Profile,
) -> Path | None:  # fmt: skip
    """The model that training left, if any."""
    mode = spec.training_input_mode() or "File"

    def again(other: Bench) -> Outcome:
        limit = float(test.timeout_seconds)
        if other.network is Network.DIAGNOSE:
            limit = diagnosis_limit(limit, plan.verdicts)
        shortened = test.model_copy(update={"timeout_seconds": int(limit)})
        return training.run(other, training_spec, shortened, mode, samples, profile)[0]

    outcome, trained = training.run(bench, training_spec, test, mode, samples, profile)
    plan.judge(outcome, again, longest=float(test.timeout_seconds))
    return trained


def _serve(
    plan: Plan, bench: Bench, inference: Inference, test: InferenceTest, samples: Samples, models: Sequence[Model],
    profile: Profile,
) -> None:  # fmt: skip
    """``models``: the archive of each container, one unless it is a pipeline."""

    def run(some: Bench) -> Outcome:
        if inference.Containers:
            return pipeline.run(some, test, inference, samples, models, profile)
        with models[0]() as model:
            return serving.run(some, test, inference, samples, model, profile)

    served = run(bench)
    longest = settings.SLIPWAY.ping_deadline_seconds + (len(test.requests) + 1) * INVOCATION_SECONDS
    plan.judge(served, run, longest)
    if not inference.Containers and batch.is_worth_a_run(served):

        def run_batch(some: Bench) -> Outcome:
            with models[0]() as model:
                return batch.run(some, test, inference, samples, model, profile, served)

        longest = settings.SLIPWAY.ping_deadline_seconds + PROBE_SECONDS + INVOCATION_SECONDS
        if plan.has_time(longest):
            batched = run_batch(bench)
            if outgoing.places(batched.outgoing) <= outgoing.places(served.outgoing) and not batched.lost_calls:
                plan.add(batched)  # the further runs of serving tell of the same places
            else:
                plan.judge(batched, run_batch, longest)
        else:
            evidence = (Evidence(NO_TIME, label="not established"),)
            served.add(CheckOutcome.SKIP, "TEST-BATCH-START", evidence=evidence, reason=f"not started, as {NO_TIME}")


def _models(inference: Inference, fetched: Mapping[str, Any], trained: Path | None, sha256: str | None) -> list[Model]:
    """What opens the archive of each container."""
    if not inference.Containers:
        return [partial(_model, trained, sha256)]
    archives = fetched.get("artifacts") or {}
    found = [archives[link.ContainerHostname]["sha256"] if link.artifact else None for link in inference.Containers]
    return [partial(_model, None, each) for each in found]


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


def _report(spec: VersionSpec, plan: Plan, profiles: dict[str, Profile], model_sha256: str | None) -> StepReport:
    calls = [call for outcome in plan.outcomes for call in outcome.outgoing]
    egress = outgoing.check(
        calls,
        lost=sum(outcome.lost_calls for outcome in plan.verdicts),
        unseen=sum(outcome.unseen_packets for outcome in plan.verdicts),
        broken=plan.broke_calling,
        hung=plan.hung,
        notes=[str(skipped) for skipped in plan.skipped],
    )
    problem = plan.problem
    if problem is None and egress.outcome is CheckOutcome.FAIL:
        problem = ProblemReport(egress.code, egress.params, egress.evidence)
    checks = [check for outcome in plan.verdicts for check in outcome.checks]
    checks += [egress, *(_size_check(profile) for profile in dict.fromkeys(profiles.values()))]
    advice, instance_checks = advise(spec, plan.verdicts, profiles)
    checks += instance_checks
    by_phase: dict[str, dict[str, Any] | None] = {outcome.phase: outcome.facts for outcome in plan.verdicts}
    facts = {
        "profile": list(profiles.values())[-1].as_json(),
        "profiles": {phase: profile.as_json() for phase, profile in profiles.items()},
        "training": by_phase.get("train"),
        "inference": by_phase.get("serve"),
        "batch": by_phase.get("serve-batch"),
        "hosts": [found for phase in hosts.PHASES.values() if (found := by_phase.get(phase))],
        "model_sha256": model_sha256,
        "outgoing": calls[:MAX_CALLS],
        "runs": [outcome.run_facts() for outcome in plan.outcomes],
        "runs_skipped": [skipped.as_json() for skipped in plan.skipped],
        "peak_memory_bytes": max((outcome.peak_memory for outcome in plan.verdicts), default=0),
        **advice,
    }
    return StepReport(facts=facts, checks=tuple(checks), problem=problem)


def _size_check(profile: Profile) -> CheckReport:
    """Run at the size of the chosen instance type, or not: then what was seen of its resources proves nothing."""
    params = {"instance_type": profile.instance_type or "the host's share", "clamped": ", ".join(profile.clamped)}
    evidence = tuple(Evidence(f"run at {text}") for text in profile.clamped)
    outcome = CheckOutcome.SKIP if profile.clamped else CheckOutcome.PASS
    return CheckReport("TEST-SIZE", outcome, params, evidence)
