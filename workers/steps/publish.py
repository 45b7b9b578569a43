"""Publish: send exactly the change set that was shown, and wait for the Marketplace to carry it out.

``validate`` has the Marketplace check a change set without applying it; registering ends with it.
"""

from __future__ import annotations

from typing import Any

from listings.changesets import ChangeSet
from listings.models import Release
from listings.problems import ProblemError
from listings.reports import CheckOutcome, CheckReport, Evidence, ProblemReport, StepReport
from workers.aws import catalog
from workers.aws.catalog import ChangeSetStatus
from workers.aws.patience import park, patiently
from workers.aws.sessions import Clients, session_for
from workers.steps.contract import StepContext

#: How often to find the product busy before giving up: with the growing interval, about an hour on AWS.
BUSY_POLLS = 20


def execute(context: StepContext) -> StepReport:
    """Facts: change_set_id, status, intent; ``already_listed`` when an earlier try turned out to have worked."""
    return patiently(context, _execute)


def _execute(context: StepContext) -> StepReport:
    context.stop.check()
    release = context.release
    assert release is not None
    if not release.change_set:
        raise ProblemError("PUBLISH-NOTHING-SHOWN")
    clients = session_for(context.version.listing.team)
    facts = {key: value for key, value in context.attempt.facts.items() if key != "stumbles"}
    change_set_id = str(facts.get("change_set_id", ""))
    if change_set_id:
        return _outcome(context, facts, catalog.status(clients, change_set_id))
    product_id = str(release.change_set[0]["Entity"]["Identifier"])
    if catalog.is_listed(clients, product_id, release.resource_arn):
        context.log.line(f"{release.resource_arn} is already a version of {product_id}.", "slipway")
        return StepReport(facts={**facts, "intent": "APPLY", "status": "SUCCEEDED", "already_listed": True})
    context.log.section(f"Publishing on {product_id}")
    try:
        found = _begin(context, clients, release, release.change_set, "APPLY")
    except catalog.Busy as busy:
        return _wait_for_other(context, facts, str(busy))
    context.log.line(f"Change set {found.change_set_id}", "slipway")
    return _outcome(context, facts, found)


def _begin(
    context: StepContext, clients: Clients, release: Release, change_set: ChangeSet, intent: str
) -> ChangeSetStatus:
    """Start the change set, or find it started; one that failed in an earlier attempt is asked for anew."""
    name = f"{release.version}"
    for turn in range(context.attempt.number):
        token = catalog.request_token(release.pk, intent, change_set, turn)
        change_set_id = catalog.start(clients, change_set, intent=intent, token=token, name=name)
        found = catalog.status(clients, change_set_id)
        if found.status not in ("FAILED", "CANCELLED"):
            break
    return found


def _wait_for_other(context: StepContext, facts: dict[str, Any], message: str) -> StepReport:
    waits = int(facts.get("busy", 0)) + 1
    if waits > BUSY_POLLS:
        raise ProblemError("PUBLISH-BUSY", evidence=(Evidence(message),), message=message)
    context.log.line(f"The product is busy: {message}", "slipway")
    return park(context, {**facts, "busy": waits})


def _outcome(context: StepContext, facts: dict[str, Any], found: ChangeSetStatus) -> StepReport:
    if context.attempt.facts.get("status") != found.status:
        context.log.line(f"The Marketplace says: {found.status}", "slipway")
    facts = {**facts, "intent": "APPLY", "change_set_id": found.change_set_id, "status": found.status}
    if not found.is_final:
        return park(context, facts)
    if found.status == "SUCCEEDED":
        return StepReport(facts=facts)
    for code, message in found.errors:
        context.log.line(f"{code}: {message}", "slipway")
    code = "PUBLISH-AWS-FAILED" if found.failure_code == "SERVER_FAULT" else "PUBLISH-REFUSED"
    params = {"change_set_id": found.change_set_id, "status": found.status, "reason": found.reason}
    return StepReport(
        facts={**facts, "errors": found.as_json()["errors"]}, problem=ProblemReport(code, params, found.evidence())
    )


def validate(
    context: StepContext, clients: Clients, release: Release, change_set: ChangeSet, known: dict[str, Any]
) -> dict[str, Any]:
    """Have the change set checked without applying it; call again with the answer until it has an ``outcome``.

    ``known`` is the last answer ({} at first). The answer holds intent, change_set_id, status, errors, reason
    and, once it is settled, ``outcome``: passed, failed, or skipped where AWS would not check.
    """
    try:
        if known.get("change_set_id"):
            found = catalog.status(clients, str(known["change_set_id"]))
        else:
            found = _begin(context, clients, release, change_set, "VALIDATE")
            context.log.line(f"The Marketplace checks the change set ({found.change_set_id}).", "slipway")
    except catalog.CheckRefused as refused:
        context.log.line(f"The Marketplace refused to check the change set: {refused}", "slipway")
        outcome = "skipped" if refused.about_intent else "failed"
        return {"intent": "VALIDATE", "status": "REFUSED", "outcome": outcome, "reason": str(refused), "errors": []}
    except catalog.Busy as busy:
        return _skip_if_long_busy(context, known, str(busy))
    answer = {"intent": "VALIDATE", **found.as_json()}
    if found.is_final:
        answer["outcome"] = "passed" if found.status == "SUCCEEDED" else "failed"
        context.log.line(f"The check of the change set ended in {found.status}.", "slipway")
    return answer


def _skip_if_long_busy(context: StepContext, known: dict[str, Any], message: str) -> dict[str, Any]:
    waits = int(known.get("busy", 0)) + 1
    context.log.line(f"The product is busy: {message}", "slipway")
    answer = {"intent": "VALIDATE", "status": "BUSY", "busy": waits, "reason": message, "errors": []}
    if waits > BUSY_POLLS:
        answer["outcome"] = "skipped"
    return answer


def validation_check(validation: dict[str, Any]) -> CheckReport:
    """The check's outcome as a Check of its own."""
    params = {"reason": str(validation.get("reason", "")), "change_set_id": str(validation.get("change_set_id", ""))}
    evidence = tuple(Evidence(error["message"], label=error["code"]) for error in validation.get("errors", []))
    if validation["outcome"] == "skipped":
        return CheckReport("CHANGESET-NOT-CHECKED", CheckOutcome.SKIP, params, evidence)
    outcome = CheckOutcome.PASS if validation["outcome"] == "passed" else CheckOutcome.FAIL
    return CheckReport("CHANGESET-INVALID", outcome, params, evidence)
