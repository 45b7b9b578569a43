"""Register: create the algorithm or model package, wait for AWS's own validation, have the change set checked.

Each execution looks at what SageMaker holds before it does anything, so it may be interrupted at any point
and repeated at will: the resource is created once and its ARN is recorded once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from listings import changesets
from listings.models import Release
from listings.problems import ProblemError
from listings.reports import CheckReport, Evidence, ProblemReport, StepReport
from listings.spec import VersionSpec, resource_name
from workers.aws import sagemaker
from workers.aws.patience import park, patiently
from workers.aws.registration import Registration, register_request
from workers.aws.sagemaker import Resource
from workers.aws.sessions import Clients, session_for
from workers.steps import publish
from workers.steps.contract import StepContext


@dataclass(frozen=True, slots=True)
class Job:
    release: Release
    spec: VersionSpec
    wanted: Registration
    clients: Clients


def execute(context: StepContext) -> StepReport:
    """Facts: name, arn, status, request_sha256, change_set (as it would be published), validation (its check)."""
    return patiently(context, _execute)


def _execute(context: StepContext) -> StepReport:
    context.stop.check()
    job = _job(context)
    found = _look(context, job)
    facts = _facts(context, job, found)
    _tell(context, found)
    if found.status == "Failed":
        return _failed(job, found, facts)
    if not found.is_final:
        return park(context, facts)
    return _change_set(context, job, found, facts)


def _job(context: StepContext) -> Job:
    release = context.release
    assert release is not None
    for step in ("fetch", "push"):
        if step not in context.facts:
            raise ProblemError("REGISTER-FACTS-MISSING", missing=f"the facts of {step}")
    spec = VersionSpec.stored(dict(context.facts["fetch"]["spec"]))
    listing = context.version.listing
    name = release.resource_name or resource_name(listing.slug, context.version.number, release.run.number)
    wanted = register_request(spec, context.facts["push"], listing.team, name)
    return Job(release, spec, wanted, session_for(listing.team))


def _look(context: StepContext, job: Job) -> Resource:
    """The resource of this release as SageMaker holds it, created if it is not there yet."""
    found = sagemaker.describe(job.clients, job.wanted)
    known = "arn" in context.attempt.facts
    if found is None and known:
        raise ProblemError("REGISTER-GONE", name=job.wanted.name)
    if found is not None and known:
        return found
    if found is not None:
        _refuse_stranger(job, found)
        if found.status != "Failed":
            return found
        # It failed before this attempt began: the leftover of an earlier one.
        context.log.line(f"Removing {job.wanted.name}, whose validation failed in an earlier attempt.", "slipway")
        sagemaker.delete(job.clients, job.wanted)
    context.log.section(f"Creating {job.wanted.words} {job.wanted.name}")
    job.clients.verify_account()
    sagemaker.create(job.clients, job.wanted)
    created = sagemaker.describe(job.clients, job.wanted)
    if created is None:
        raise ProblemError("REGISTER-GONE", name=job.wanted.name)
    _refuse_stranger(job, created)
    return created


def _refuse_stranger(job: Job, found: Resource) -> None:
    differs = sagemaker.stranger(job.clients, job.wanted, found)
    if differs:
        raise ProblemError(
            "REGISTER-NAME-TAKEN",
            evidence=(Evidence(found.arn, label="taken by"),),
            resource=job.wanted.words,
            name=job.wanted.name,
            difference=f"{differs} differs",
        )


def _facts(context: StepContext, job: Job, found: Resource) -> dict[str, Any]:
    known = {key: value for key, value in context.attempt.facts.items() if key != "stumbles"}
    return {
        **known,
        "name": job.wanted.name,
        "arn": found.arn,
        "status": found.status,
        "request_sha256": job.wanted.request_sha256,
    }


def _tell(context: StepContext, found: Resource) -> None:
    if context.attempt.facts.get("status") == found.status:
        return
    if "arn" not in context.attempt.facts:
        context.log.line(f"ARN: {found.arn}", "slipway")
    context.log.line(f"SageMaker says: {found.status}", "slipway")
    for reason in found.reasons():
        context.log.line(f"{reason.label}: {reason.text}", "slipway")


def _failed(job: Job, found: Resource, facts: dict[str, Any]) -> StepReport:
    reasons = found.reasons()
    code = "REGISTER-AWS-FAILED" if found.failed_at_aws() else "REGISTER-REFUSED"
    reason = "; ".join(each.text for each in reasons) or "AWS gives no reason."
    problem = ProblemReport(code, {"name": job.wanted.name, "reason": reason}, reasons)
    return StepReport(facts=facts, checks=found.checks(), problem=problem)


def _change_set(context: StepContext, job: Job, found: Resource, facts: dict[str, Any]) -> StepReport:
    """Build what Publish will send, and have it checked; done when the check has an outcome."""
    listing = context.version.listing
    change_set = changesets.build(
        job.spec.as_json(),
        arn=found.arn,
        product_id=listing.product_id,
        access_role_arn=listing.team.access_role_arn,
        version=context.version.number,
        release_notes=context.version.notes,
    )
    facts["change_set"] = change_set
    faults = changesets.problems(change_set, job.spec.as_json())
    if faults:
        return _incomplete(found, facts, faults)
    validation = publish.validate(context, job.clients, job.release, change_set, dict(facts.get("validation") or {}))
    facts["validation"] = validation
    if not validation.get("outcome"):
        return park(context, facts)
    return StepReport(facts=facts, checks=(*found.checks(), publish.validation_check(validation)))


def _incomplete(found: Resource, facts: dict[str, Any], faults: tuple[changesets.FieldProblem, ...]) -> StepReport:
    checks: tuple[CheckReport, ...] = (*found.checks(), *(fault.as_check() for fault in faults))
    evidence = tuple(Evidence(fault.detail, label=f"{fault.field} ({fault.spec_field})") for fault in faults)
    missing = ", ".join(fault.field for fault in faults)
    problem = ProblemReport("CHANGESET-INCOMPLETE", {"missing": missing}, evidence)
    return StepReport(facts=facts, checks=checks, problem=problem)
