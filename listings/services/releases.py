"""Releases: asked for, discussed, approved by other eyes, registered with SageMaker, published by an admin."""

from __future__ import annotations

import logging
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from listings import changesets, links, problems
from listings.access import Permission, admins, can, can_decide, require
from listings.models import Attempt, Comment, Listing, Release, Review, Role, Run, Step, Version
from listings.problems import ProblemError
from listings.reports import Evidence
from listings.services import audit, notices, planning, signals, verdicts
from listings.spec import VersionSpec
from listings.states import (
    RELEASE_DONE,
    RELEASE_MOVES,
    RELEASE_OPEN,
    AttemptState,
    ReleaseState,
    RunState,
    StaleState,
    StepName,
    transition,
)  # fmt: skip

logger = logging.getLogger(__name__)


def _move(release: Release, source: str, target: str, **fields: Any) -> None:
    """Move a release; raises ProblemError RELEASE-MOVED if it is no longer in ``source``."""
    try:
        transition(Release, release.pk, moves=RELEASE_MOVES, source=source, target=target, **fields)
    except StaleState:
        release.refresh_from_db()
        raise ProblemError("RELEASE-MOVED", state=release.get_state_display().lower()) from None
    release.refresh_from_db()
    signals.announce_after_commit(release.pk, {"kind": "release", "state": target, "final": target not in RELEASE_OPEN})


def _record(user: Any, verb: str, release: Release, **data: Any) -> None:
    audit.record(user, f"release.{verb}", release.version, release=release, url=links.release(release), **data)


def _demand_verdict(run: Run) -> dict[str, Any]:
    """The gate's verdict as JSON. Raises ProblemError RELEASE-GATE with every failing reason."""
    verdict = verdicts.verdict_of(run)
    failures = verdict.failures
    if failures:
        evidence = tuple(Evidence(f"{reason.title}. {reason.detail}".strip(), reason.code) for reason in failures)
        raise ProblemError("RELEASE-GATE", evidence=evidence, reasons="; ".join(r.title for r in failures))
    return verdict.as_json()


def _demand_listing_texts(run: Run) -> None:
    """Raises ProblemError CHANGESET-INCOMPLETE if the Marketplace would refuse the listing's fields."""
    spec = VersionSpec.stored(verdicts.facts_of(run)[StepName.FETCH]["spec"])
    missing = changesets.missing_fields(spec, run.version.listing)
    if missing:
        raise ProblemError("CHANGESET-INCOMPLETE", missing=", ".join(missing))


@transaction.atomic
def request_release(user: Any, version: Version, comment: str = "") -> Release:
    """Ask for a release of the version's latest run. Raises ProblemError if the gate or the listing forbids it."""
    require(user, Permission.RELEASE, version.listing.team)
    run = version.runs.order_by("-number").first()
    if run is None or run.state != RunState.PASSED:
        raise ProblemError("RELEASE-NO-RUN", number=version.number)
    if version.releases.filter(state__in=RELEASE_DONE).exists():
        raise ProblemError("RELEASE-DONE", number=version.number)
    if "-" in version.number:
        raise ProblemError("RELEASE-PRERELEASE", number=version.number)
    verdict = _demand_verdict(run)
    _demand_listing_texts(run)
    try:
        with transaction.atomic():
            release = Release.objects.create(version=version, run=run, requested_by=user, verdict=verdict)
    except IntegrityError:
        raise ProblemError("RELEASE-OPEN", number=version.number) from None
    _move(release, ReleaseState.DRAFT, ReleaseState.IN_REVIEW)
    if comment.strip():
        Comment.objects.create(release=release, author=user, body=comment.strip())
    _record(user, "request", release)
    _tell_admins(release, f"{version} asks for a review", comment)
    return release


def _tell_admins(release: Release, title: str, body: str) -> None:
    deciders = [user for user in admins() if can_decide(user, release)]
    notices.notify(deciders, "release.review", title, url=links.release(release), body=body)


def _tell_team(release: Release, kind: str, title: str, body: str = "") -> None:
    team = release.version.listing.team
    people = notices.still_there(team, [release.requested_by, release.version.author])
    people += notices.members(team, Role.RELEASER, Role.OWNER)
    notices.notify(people, kind, title, url=links.release(release), body=body)


@transaction.atomic
def comment_on(user: Any, release: Release, body: str) -> Comment:
    """Add to the discussion. Raises ProblemError RELEASE-COMMENT-EMPTY."""
    require(user, Permission.DISCUSS, release.version.listing.team)
    if not body.strip():
        raise ProblemError("RELEASE-COMMENT-EMPTY")
    comment = Comment.objects.create(release=release, author=user, body=body.strip()[:10_000])
    said_before = [row.author for row in release.comments.select_related("author")]
    others = [person for person in (*said_before, release.requested_by) if person and person.pk != user.pk]
    others = notices.still_there(release.version.listing.team, others)
    notices.notify(others, "release.comment", f"{user} on {release.version}", url=links.release(release), body=body)
    signals.announce_after_commit(release.pk, {"kind": "comment"})
    return comment


def _demand_decider(user: Any, release: Release) -> None:
    decision = can_decide(user, release)
    if not decision:
        raise ProblemError("RELEASE-NOT-YOURS", reason=decision.reason)


@transaction.atomic
def approve(user: Any, release: Release, comment: str = "") -> None:
    """Approve, and start registering. Raises ProblemError RELEASE-NOT-YOURS, RELEASE-GATE or RELEASE-MOVED."""
    _demand_decider(user, release)
    verdict = _demand_verdict(release.run)
    _move(
        release, ReleaseState.IN_REVIEW, ReleaseState.APPROVED, approved_by=user, approved_at=timezone.now(),
        verdict=verdict,
    )  # fmt: skip
    Review.objects.create(release=release, reviewer=user, decision="approved", comment=comment.strip(), verdict=verdict)
    _record(user, "approve", release, comment=comment, verdict=verdict)
    _tell_team(release, "release.approved", f"{release.version} was approved", comment)
    Step.objects.create(release=release, name=StepName.REGISTER, position=0)
    transaction.on_commit(lambda: planning.plan(release), robust=True)


@transaction.atomic
def ask_for_changes(user: Any, release: Release, comment: str) -> None:
    """Send a release back with a comment. Raises ProblemError RELEASE-COMMENT-EMPTY without one."""
    _demand_decider(user, release)
    if not comment.strip():
        raise ProblemError("RELEASE-COMMENT-EMPTY")
    _move(release, ReleaseState.IN_REVIEW, ReleaseState.CHANGES_REQUESTED)
    Review.objects.create(release=release, reviewer=user, decision="changes", comment=comment.strip())
    _record(user, "ask_for_changes", release, comment=comment)
    _tell_team(release, "release.changes", f"Changes are asked for on {release.version}", comment)


@transaction.atomic
def resubmit(user: Any, release: Release, comment: str = "") -> None:
    """Ask for review again after changes were requested."""
    require(user, Permission.RELEASE, release.version.listing.team)
    verdict = _demand_verdict(release.run)
    _move(release, ReleaseState.CHANGES_REQUESTED, ReleaseState.IN_REVIEW, verdict=verdict)
    if comment.strip():
        Comment.objects.create(release=release, author=user, body=comment.strip())
    _record(user, "resubmit", release)
    _tell_admins(release, f"{release.version} asks for a review again", comment)


@transaction.atomic
def withdraw(user: Any, release: Release, reason: str = "") -> None:
    """Take back a release that has not reached the Marketplace. Admins may, too."""
    if not can(user, Permission.ADMIN):
        require(user, Permission.RELEASE, release.version.listing.team)
    release.refresh_from_db()
    busy = (ReleaseState.REGISTERING, ReleaseState.PUBLISHING, ReleaseState.PUBLISHED, ReleaseState.SUPERSEDED)
    if release.state in busy or release.state == ReleaseState.WITHDRAWN:
        raise ProblemError("RELEASE-MOVED", state=release.get_state_display().lower())
    if Attempt.objects.filter(step__release=release, state__in=("running", "cancelling")).exists():
        raise ProblemError("RELEASE-MOVED", state="registering")
    _move(release, release.state, ReleaseState.WITHDRAWN, withdrawn_at=timezone.now())
    planning.stop(user, release)
    _record(user, "withdraw", release, reason=reason)
    _tell_team(release, "release.withdrawn", f"The release of {release.version} was withdrawn", reason)


@transaction.atomic
def resume_registration(user: Any, release: Release) -> None:
    """Try to register again after it failed."""
    require(user, Permission.ADMIN)
    if release.state != ReleaseState.REGISTRATION_FAILED:
        raise ProblemError("RELEASE-MOVED", state=release.get_state_display().lower())
    _queue_again(release, StepName.REGISTER, f"resumed by {user}")
    _record(user, "resume", release)


@transaction.atomic
def publish(user: Any, release: Release) -> None:
    """Send the change set that was shown.

    Raises ProblemError RELEASE-GATE, PUBLISH-NOTHING-SHOWN, PUBLISH-VALIDATION-FAILED or RELEASE-MOVED.
    """
    require(user, Permission.ADMIN)
    _demand_verdict(release.run)
    if not release.change_set:
        raise ProblemError("PUBLISH-NOTHING-SHOWN")
    _demand_valid_change_set(release)
    _move(release, ReleaseState.REGISTERED, ReleaseState.PUBLISHING, published_by=user)
    _record(user, "publish", release)
    _queue_again(release, StepName.PUBLISH, f"published by {user}")


def _demand_valid_change_set(release: Release) -> None:
    """What the Marketplace refused when it checked would be refused again, days later and for everyone to see."""
    answer = release.change_set_validation
    if answer.get("outcome") != "failed":
        return
    faults = answer.get("errors", [])
    evidence = tuple(Evidence(str(fault.get("message", "")), label=str(fault.get("code", ""))) for fault in faults)
    reason = str(answer.get("reason") or "it gave none").rstrip(".")
    raise ProblemError("PUBLISH-VALIDATION-FAILED", evidence=evidence, reason=reason)


def _queue_again(release: Release, name: StepName, reason: str) -> None:
    step, made = Step.objects.get_or_create(
        release=release, name=name, defaults={"position": 0 if name == StepName.REGISTER else 1}
    )
    if not made and planning.queue_attempt(step, reason) is None:
        raise ProblemError("RELEASE-MOVED", state=release.get_state_display().lower())
    transaction.on_commit(lambda: planning.plan(release), robust=True)


@transaction.atomic
def begin_step(step: Step) -> None:
    """Called by the worker before it registers: the gate is enforced once more. Raises ProblemError RELEASE-GATE."""
    release = step.release
    assert release is not None
    if step.name != StepName.REGISTER or release.state == ReleaseState.REGISTERING:
        return
    if release.state not in (ReleaseState.APPROVED, ReleaseState.REGISTRATION_FAILED):
        raise ProblemError("RELEASE-MOVED", state=release.get_state_display().lower())
    _demand_verdict(release.run)
    _move(release, release.state, ReleaseState.REGISTERING)


def step_ended(attempt: Attempt) -> None:
    """Carry the end of a register or publish attempt over to its release. Runs in the attempt's transaction.

    An attempt ends whatever became of its release meanwhile: one that was withdrawn stays so.
    """
    if attempt.state == AttemptState.LOST and not planning.given_up(attempt.step):
        return  # The planner tries again.
    try:
        with transaction.atomic():
            _carry_over(attempt)
    except ProblemError as error:
        logger.warning("the end of %s changes nothing: %s", attempt, error)


def _carry_over(attempt: Attempt) -> None:
    release = attempt.step.release
    assert release is not None
    done = attempt.state == AttemptState.SUCCEEDED
    if attempt.step.name == StepName.REGISTER:
        _registered(release, attempt) if done else _registration_failed(release, attempt)
    else:
        _published(release, attempt) if done else _publish_failed(release, attempt)


def _registered(release: Release, attempt: Attempt) -> None:
    facts = attempt.facts
    _move(
        release, ReleaseState.REGISTERING, ReleaseState.REGISTERED,
        resource_name=facts["name"], resource_arn=facts["arn"], registered_at=timezone.now(),
        change_set=facts.get("change_set", []), change_set_validation=facts.get("validation", {}),
    )  # fmt: skip
    _record(None, "registered", release, arn=facts["arn"])
    _tell_team(release, "release.registered", f"{release.version} is registered", facts["arn"])
    notices.notify(
        [release.approved_by], "release.publish", f"{release.version} can be published", url=links.release(release)
    )


def _problem_text(attempt: Attempt) -> str:
    if not attempt.problem_code:
        return ""
    return problems.fill(problems.get(attempt.problem_code).cause, attempt.problem_params)


def _registration_failed(release: Release, attempt: Attempt) -> None:
    if release.state in (ReleaseState.APPROVED, ReleaseState.REGISTRATION_FAILED):
        _move(release, release.state, ReleaseState.REGISTERING)
    _move(release, ReleaseState.REGISTERING, ReleaseState.REGISTRATION_FAILED)
    _record(None, "registration_failed", release, code=attempt.problem_code)
    _tell_team(release, "release.failed", f"Registering {release.version} failed", _problem_text(attempt))


def _published(release: Release, attempt: Attempt) -> None:
    listing = release.version.listing
    # Two releases of a listing may be published at the same moment: the second to get here sees the first.
    Listing.objects.filter(pk=listing.pk).update(name=F("name"))
    _move(
        release, ReleaseState.PUBLISHING, ReleaseState.PUBLISHED,
        change_set_id=attempt.facts.get("change_set_id", ""), published_at=timezone.now(),
    )  # fmt: skip
    older = Release.objects.filter(version__listing=listing, state=ReleaseState.PUBLISHED)
    for other in older.exclude(pk=release.pk):
        _move(other, ReleaseState.PUBLISHED, ReleaseState.SUPERSEDED)
    _record(None, "published", release, change_set_id=attempt.facts.get("change_set_id", ""))
    _tell_team(release, "release.published", f"{release.version} is published")


def _publish_failed(release: Release, attempt: Attempt) -> None:
    _move(release, ReleaseState.PUBLISHING, ReleaseState.REGISTERED)
    _record(None, "publish_failed", release, code=attempt.problem_code)
    _tell_team(release, "release.failed", f"Publishing {release.version} failed", _problem_text(attempt))
