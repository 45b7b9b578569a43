"""Releases: gate, four eyes, registration and publication, and what goes wrong with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from listings import spec
from listings.models import AuditEvent, Notice, Release, Role, Version
from listings.policy_defaults import DEFAULT_POLICY
from listings.problems import ProblemError
from listings.reports import ProblemReport, ScanReport, StepReport
from listings.services import leases, planning, releases, runs, teams, verdicts, versions, waivers
from listings.states import ReleaseState
from tests import flow

pytestmark = pytest.mark.django_db

DEBIAN_12 = StepReport({}, scan=ScanReport("os", "1", True, os_id="debian", os_version="12", os_name="Debian 12"))
REGISTERED = StepReport({
    "name": "decision-trees-1-0-0", "arn": "arn:aws:sagemaker:us-east-1:111122223333:algorithm/decision-trees-1-0-0",
    "change_set": [{"ChangeType": "AddDeliveryOptions"}], "validation": {"outcome": "passed"},
})  # fmt: skip
PUBLISHED = StepReport({"change_set_id": "cs-1", "status": "SUCCEEDED"})


@pytest.fixture
def sample_spec() -> dict[str, Any]:
    path = django_settings.BASE_DIR / "samples" / "decision-trees" / "slipway.yaml"
    return spec.parse(path.read_text()).as_json()


@pytest.fixture
def passed(seller: Any, draft: Version, sample_spec: dict[str, Any]) -> Version:
    run = versions.submit_version(seller, draft)
    flow.run_through(run, fetch=StepReport({"archive_sha256": "0" * 64, "spec": sample_spec}))
    return draft


@pytest.fixture
def in_review(seller: Any, passed: Version) -> Release:
    return releases.request_release(seller, passed, "ready")


@pytest.fixture
def approved(admin: Any, in_review: Release) -> Release:
    releases.approve(admin, in_review, "looked at everything")
    planning.plan(in_review)
    return in_review


def register(release: Release, report: StepReport = REGISTERED) -> None:
    claim = flow.claim(release, "register")
    releases.begin_step(flow.step_of(release, "register"))

    leases.finish(claim.attempt.pk, claim.lease, report)
    release.refresh_from_db()


def test_a_release_goes_from_request_to_published(seller: Any, admin: Any, approved: Release) -> None:
    register(approved)
    assert approved.state == ReleaseState.REGISTERED
    assert approved.resource_arn.endswith("decision-trees-1-0-0")
    releases.publish(admin, approved)
    planning.plan(approved)
    flow.end(approved, "publish", PUBLISHED)
    approved.refresh_from_db()
    assert (approved.state, approved.change_set_id, approved.published_by) == (ReleaseState.PUBLISHED, "cs-1", admin)
    actions = set(AuditEvent.objects.filter(release_id=approved.pk).values_list("action", flat=True))
    assert {
        "release.request",
        "release.approve",
        "release.registered",
        "release.publish",
        "release.published",
    } <= actions


def test_the_gate_refuses_an_unlisted_system_until_it_is_waived(seller: Any, admin: Any, draft: Version,
                                                                sample_spec: Any) -> None:  # fmt: skip
    run = versions.submit_version(seller, draft)
    flow.run_through(run, fetch=StepReport({"spec": sample_spec}), scan=DEBIAN_12)
    with pytest.raises(ProblemError, match="RELEASE-GATE"):
        releases.request_release(seller, draft)
    waiver = waivers.ask(seller, draft, code="GATE-OS", subject="debian:12", reason="our base")
    with pytest.raises(PermissionDenied):
        waivers.grant(seller, waiver, reason="me", expires_at=timezone.now() + timedelta(days=1))
    waivers.grant(admin, waiver, reason="scannable", expires_at=timezone.now() + timedelta(days=1))
    assert releases.request_release(seller, draft).state == ReleaseState.IN_REVIEW


def test_amending_the_policy_opens_the_gate_without_a_new_run(seller: Any, admin: Any, draft: Version,
                                                              sample_spec: Any) -> None:  # fmt: skip
    run = versions.submit_version(seller, draft)
    flow.run_through(run, fetch=StepReport({"spec": sample_spec}), scan=DEBIAN_12)
    assert not verdicts.verdict_of(run).passed
    waivers.amend_policy(admin, DEFAULT_POLICY | {"os": {"debian": ["12"]}}, "12 is scannable")
    assert verdicts.verdict_of(run).passed


def test_a_waiver_revoked_after_approval_stops_registration(seller: Any, admin: Any, draft: Version,
                                                            sample_spec: Any) -> None:  # fmt: skip
    run = versions.submit_version(seller, draft)
    flow.run_through(run, fetch=StepReport({"spec": sample_spec}), scan=DEBIAN_12)
    waiver = waivers.ask(seller, draft, code="GATE-OS", subject="debian:12", reason="our base")
    waivers.grant(admin, waiver, reason="ok", expires_at=timezone.now() + timedelta(days=1))
    release = releases.request_release(seller, draft)
    releases.approve(admin, release)
    planning.plan(release)
    waivers.revoke(admin, waiver, reason="changed my mind")
    flow.claim(release, "register")
    with pytest.raises(ProblemError, match="RELEASE-GATE"):
        releases.begin_step(flow.step_of(release, "register"))


def test_who_asked_may_not_approve(make_user: Any, seller: Any, team: Any, passed: Version) -> None:
    both = make_user("both", is_staff=True)
    teams.add_member(seller, team, both.email, Role.RELEASER)
    release = releases.request_release(both, passed)
    with pytest.raises(ProblemError, match="RELEASE-NOT-YOURS"):
        releases.approve(both, release)


def test_who_made_the_version_may_not_approve(seller: Any, make_user: Any, team: Any, passed: Version) -> None:
    colleague = make_user("carol")
    teams.add_member(seller, team, colleague.email, Role.RELEASER)
    release = releases.request_release(colleague, passed)
    seller.is_staff = True
    seller.save()
    with pytest.raises(ProblemError, match="RELEASE-NOT-YOURS"):
        releases.approve(seller, release)


def test_a_seller_may_not_approve(seller: Any, make_user: Any, in_review: Release) -> None:
    with pytest.raises(ProblemError, match="RELEASE-NOT-YOURS"):
        releases.approve(make_user("other"), in_review)


def test_a_developer_may_not_request(seller: Any, make_user: Any, team: Any, passed: Version) -> None:
    developer = make_user("dora")
    teams.add_member(seller, team, developer.email, Role.DEVELOPER)
    with pytest.raises(PermissionDenied, match="releaser"):
        releases.request_release(developer, passed)


def test_changes_are_asked_for_with_a_comment_and_the_team_is_told(seller: Any, admin: Any, in_review: Release) -> None:
    with pytest.raises(ProblemError, match="RELEASE-COMMENT-EMPTY"):
        releases.ask_for_changes(admin, in_review, "  ")
    releases.ask_for_changes(admin, in_review, "please name the metric")
    assert Notice.objects.filter(user=seller, kind="release.changes").exists()
    releases.resubmit(seller, in_review, "done")
    assert in_review.state == ReleaseState.IN_REVIEW


def test_only_one_admin_approves(admin: Any, make_user: Any, in_review: Release) -> None:
    releases.approve(admin, in_review)
    with pytest.raises(ProblemError, match="RELEASE-MOVED"):
        releases.approve(make_user("eve", is_staff=True), Release.objects.get(pk=in_review.pk))


def test_one_version_has_one_open_release(seller: Any, passed: Version, in_review: Release) -> None:
    with pytest.raises(ProblemError, match="RELEASE-OPEN"):
        releases.request_release(seller, passed)


def test_no_other_run_starts_under_an_open_release(seller: Any, passed: Version, in_review: Release) -> None:
    with pytest.raises(ProblemError, match="RUN-RELEASED"):
        runs.run_again(seller, passed)


def test_registration_that_failed_can_be_resumed(admin: Any, approved: Release) -> None:
    register(approved, StepReport(problem=ProblemReport("REGISTER-REFUSED", {"name": "x", "reason": "no"})))
    assert approved.state == ReleaseState.REGISTRATION_FAILED
    releases.resume_registration(admin, approved)
    planning.plan(approved)
    register(approved)
    assert approved.state == ReleaseState.REGISTERED
    assert flow.step_of(approved, "register").attempts.count() == 2


def test_a_refused_change_set_leaves_the_release_registered(admin: Any, approved: Release) -> None:
    register(approved)
    releases.publish(admin, approved)
    planning.plan(approved)
    refused = ProblemReport("PUBLISH-REFUSED", {"change_set_id": "cs", "status": "FAILED", "reason": "no"})
    flow.end(approved, "publish", StepReport(problem=refused))
    approved.refresh_from_db()
    assert approved.state == ReleaseState.REGISTERED
    releases.publish(admin, approved)
    planning.plan(approved)
    flow.end(approved, "publish", PUBLISHED)
    approved.refresh_from_db()
    assert approved.state == ReleaseState.PUBLISHED


def test_a_change_set_that_the_marketplace_refused_is_not_published(admin: Any, approved: Release) -> None:
    refusal = {"outcome": "failed", "reason": "1 fault.", "errors": [{"code": "INVALID_URL", "message": "no answer"}]}
    register(approved, StepReport(REGISTERED.facts | {"validation": refusal}))
    with pytest.raises(ProblemError, match="PUBLISH-VALIDATION-FAILED") as caught:
        releases.publish(admin, approved)
    assert [item.as_json()["label"] for item in caught.value.report.evidence] == ["INVALID_URL"]
    approved.refresh_from_db()
    assert approved.state == ReleaseState.REGISTERED
    assert not approved.steps.filter(name="publish").exists()


def test_a_change_set_that_was_not_checked_beforehand_is_published(admin: Any, approved: Release) -> None:
    register(approved, StepReport(REGISTERED.facts | {"validation": {"outcome": "skipped", "reason": "busy"}}))
    releases.publish(admin, approved)
    assert approved.state == ReleaseState.PUBLISHING


def test_a_worker_lost_while_registering_starts_again_where_it_stood(approved: Release) -> None:

    flow.claim(approved, "register")
    releases.begin_step(flow.step_of(approved, "register"))
    leases.lose_expired(timezone.now() + timedelta(days=1))
    planning.plan(approved)
    approved.refresh_from_db()
    assert approved.state == ReleaseState.REGISTERING
    register(approved)
    assert approved.state == ReleaseState.REGISTERED


def test_a_worker_lost_too_often_while_registering_fails_the_registration(approved: Release, settings: Any) -> None:

    for _ in range(settings.SLIPWAY.infrastructure_retries + 1):
        flow.claim(approved, "register")
        releases.begin_step(flow.step_of(approved, "register"))
        leases.lose_expired(timezone.now() + timedelta(days=1))
        planning.plan(approved)
    approved.refresh_from_db()
    assert approved.state == ReleaseState.REGISTRATION_FAILED


def test_publishing_a_newer_version_supersedes_the_older(seller: Any, admin: Any, approved: Release, upload: Any,
                                                         sample_spec: Any) -> None:  # fmt: skip
    def publish(release: Release) -> None:
        register(release)
        releases.publish(admin, release)
        planning.plan(release)
        flow.end(release, "publish", PUBLISHED)

    publish(approved)
    newer = versions.create_version(seller, approved.version.listing, number="1.1.0", source=upload)
    flow.run_through(versions.submit_version(seller, newer), fetch=StepReport({"spec": sample_spec}))
    release = releases.request_release(seller, newer)
    releases.approve(admin, release)
    planning.plan(release)
    publish(release)
    approved.refresh_from_db()
    assert approved.state == ReleaseState.SUPERSEDED


def test_a_withdrawn_release_is_over_and_another_may_be_asked_for(
    seller: Any, passed: Version, in_review: Release
) -> None:
    releases.withdraw(seller, in_review, "not yet")
    assert in_review.state == ReleaseState.WITHDRAWN
    assert releases.request_release(seller, passed).state == ReleaseState.IN_REVIEW


def test_a_published_release_is_not_withdrawn(seller: Any, admin: Any, approved: Release) -> None:
    register(approved)
    releases.publish(admin, approved)
    with pytest.raises(ProblemError, match="RELEASE-MOVED"):
        releases.withdraw(seller, approved)


def test_missing_listing_texts_are_named_before_anything_is_sent(seller: Any, draft: Version, sample_spec: Any) -> None:
    del sample_spec["listing"]
    run = versions.submit_version(seller, draft)
    flow.run_through(run, fetch=StepReport({"spec": sample_spec}))
    with pytest.raises(ProblemError, match="CHANGESET-INCOMPLETE") as caught:
        releases.request_release(seller, draft)
    assert "listing.usage_instructions" in caught.value.report.params["missing"]


def test_a_prerelease_is_tested_but_not_released(seller: Any, listing: Any, upload: Any, sample_spec: Any) -> None:
    version = versions.create_version(seller, listing, number="2.0.0-rc.1", source=upload)
    flow.run_through(versions.submit_version(seller, version), fetch=StepReport({"spec": sample_spec}))
    with pytest.raises(ProblemError, match="RELEASE-PRERELEASE"):
        releases.request_release(seller, version)


def test_a_published_version_is_not_released_again(seller: Any, admin: Any, approved: Release, passed: Version) -> None:
    register(approved)
    releases.publish(admin, approved)
    planning.plan(approved)
    flow.end(approved, "publish", PUBLISHED)
    with pytest.raises(ProblemError, match="RELEASE-DONE"):
        releases.request_release(seller, passed)


def test_nobody_who_asked_in_any_round_may_approve(
    seller: Any, admin: Any, make_user: Any, team: Any, in_review: Release
) -> None:
    both = make_user("both", is_staff=True)
    teams.add_member(seller, team, both.email, Role.RELEASER)
    releases.ask_for_changes(admin, in_review, "please name the metric")
    releases.resubmit(both, in_review, "named")
    with pytest.raises(ProblemError, match="RELEASE-NOT-YOURS"):
        releases.approve(both, in_review)
    assert in_review.requested_by == seller
    releases.approve(admin, in_review)
