"""The pages of releases: the list, and one release in each state."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from listings import links
from listings.models import Release, Role, Version
from listings.reports import Evidence, ProblemReport, StepReport
from listings.services import planning, releases, teams, versions, waivers
from listings.states import ReleaseState
from tests import flow
from tests.pages import decisions
from tests.pages.decisions import Page, look

pytestmark = pytest.mark.django_db


@pytest.fixture
def newer(seller: Any, draft: Version, upload: Any) -> Version:
    return versions.create_version(seller, draft.listing, number="1.1.0", source=upload)


# The list


def test_the_empty_list_teaches_what_a_release_is(signed_in: Client, team: Any) -> None:
    page = look(signed_in, reverse("releases", args=[team.slug]))
    assert "No release yet" in page.text
    assert "review" in page.text


def test_the_list_shows_states_in_words_with_few_queries(
    client: Client, seller: Any, admin: Any, draft: Version, newer: Version,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    decisions.published(seller, admin, draft)
    decisions.in_review(seller, newer)
    client.force_login(seller)
    with django_assert_max_num_queries(14):
        page = look(client, reverse("releases", args=[draft.listing.team.slug]))
    assert "Published" in page.text
    assert "In review" in page.text
    assert "algorithm/decision-trees-1-0-0" in page.text


# One release


def test_a_reviewer_sees_evidence_and_decision(
    client: Client, seller: Any, admin: Any, draft: Version, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    release = decisions.in_review(seller, draft)
    client.force_login(admin)
    with django_assert_max_num_queries(45):
        page = look(client, links.release(release))
    assert "None of 1 checks fails" in page.text
    assert "The digest tested is the digest pushed" in page.text
    assert "This is the first release of Decision trees" in page.text
    assert "CreateAlgorithm decision-trees-1-0-0 in us-east-1" in page.text
    assert "Tokenizer is baked in." in page.text
    assert "data-confirm" in (page.button("Approve and register") or {})
    assert "disabled" not in (page.button("Approve and register") or {})
    assert page.button("Publish on AWS Marketplace") is None


def test_a_seller_sees_who_decides_and_no_decision(client: Client, seller: Any, draft: Version) -> None:
    release = decisions.in_review(seller, draft)
    client.force_login(seller)
    page = look(client, links.release(release))
    assert page.button("Approve and register") is None
    assert "An admin who neither asked for it nor made the version decides." in page.text


def test_who_may_not_decide_is_told_why(client: Client, seller: Any, draft: Version) -> None:
    release = decisions.in_review(seller, draft)
    seller.is_staff = True
    seller.save()
    client.force_login(seller)
    page = look(client, links.release(release))
    assert "You asked for this release; another admin must decide." in page.text
    assert page.button("Approve and register") is None


def test_a_viewer_may_discuss_but_not_withdraw(client: Client, make_user: Any, seller: Any, draft: Version) -> None:
    release, viewer = decisions.in_review(seller, draft), make_user("vera")
    teams.add_member(seller, draft.listing.team, viewer.email, Role.VIEWER)
    client.force_login(viewer)
    page = look(client, links.release(release))
    assert page.button("Comment") is not None
    assert page.button("Withdraw 1.0.0") is None


def test_another_team_s_release_does_not_exist(client: Client, make_user: Any, seller: Any, draft: Version) -> None:
    release = decisions.in_review(seller, draft)
    client.force_login(make_user("mallory"))
    assert client.get(links.release(release)).status_code == 404


def test_what_changes_for_buyers_is_measured_and_named(
    client: Client, seller: Any, admin: Any, draft: Version, newer: Version
) -> None:
    decisions.published(seller, admin, draft)
    changed = decisions.sample_spec()
    depth = changed["training"]["SupportedHyperParameters"][0]
    depth["Range"]["IntegerParameterRangeSpecification"]["MaxValue"] = "30"
    changed["inference"]["SupportedTransformInstanceTypes"].remove("ml.m5.xlarge")
    changed["listing"]["title"] = "Trees"
    release = decisions.in_review(seller, newer, given=changed, size=365_000_000, memory=612, ms=14)
    client.force_login(admin)
    text = look(client, links.release(release)).text
    assert "Image size 412 MB 365 MB −11 %" in text
    assert "Slowest sample request 18 ms 14 ms −22 %" in text
    assert "Peak memory 540 MiB 612 MiB +13 %" in text
    assert "max_depth 1 … 20 1 … 30 cannot be narrowed later" in text
    assert "Transform instance type ml.m5.xlarge yes removed jobs on it fail" in text
    assert "1 change may break jobs" in text
    assert "Title Decision trees for tabular data Trees" in text


def test_a_narrowed_range_and_a_new_required_channel_break_buyers(
    client: Client, seller: Any, admin: Any, draft: Version, newer: Version
) -> None:
    decisions.published(seller, admin, draft)
    changed = decisions.sample_spec()
    leaf = changed["training"]["SupportedHyperParameters"][1]
    leaf["Range"]["IntegerParameterRangeSpecification"]["MaxValue"] = "9"
    changed["training"]["TrainingChannels"][1]["IsRequired"] = True
    release = decisions.in_review(seller, newer, given=changed)
    client.force_login(admin)
    text = look(client, links.release(release)).text
    assert "min_samples_leaf 1 … 50 1 … 9 values that were allowed fail" in text
    assert "Channel validation optional required existing jobs may not send it" in text
    assert "2 changes may break jobs" in text


def test_a_published_release_compares_with_the_one_before_it(
    client: Client, seller: Any, admin: Any, draft: Version, newer: Version
) -> None:
    first = decisions.published(seller, admin, draft)
    second = decisions.published(seller, admin, newer)
    client.force_login(seller)
    assert "against 1.0.0" in look(client, links.release(second)).text
    assert "This is the first release" in look(client, links.release(first)).text


def test_a_waiver_stands_in_the_evidence(client: Client, seller: Any, admin: Any, draft: Version) -> None:
    decisions.passed(seller, draft, os_version="12")
    waiver = decisions.waived(seller, admin, draft)
    release = releases.request_release(seller, draft)
    client.force_login(admin)
    page = look(client, links.release(release))
    assert f"granted by {admin} until {waiver.expires_at:%Y-%m-%d} : “scannable, not end of life”" in page.text
    assert f"#waiver-{waiver.pk}" in page.html


def test_a_gate_that_closed_again_stops_the_decision_in_words(
    client: Client, seller: Any, admin: Any, draft: Version
) -> None:
    decisions.passed(seller, draft, os_version="12")
    waiver = decisions.waived(seller, admin, draft)
    release = releases.request_release(seller, draft)
    waivers.revoke(admin, waiver, reason="changed")
    client.force_login(admin)
    page = look(client, links.release(release))
    assert "disabled" in (page.button("Approve and register") or {})
    assert "The gate is closed: 1 point of the evidence fails" in page.text


def test_a_comment_that_is_refused_and_a_decision_keep_what_was_typed(
    client: Client, seller: Any, admin: Any, draft: Version
) -> None:
    decisions.passed(seller, draft, os_version="12")
    waiver = decisions.waived(seller, admin, draft)
    release = releases.request_release(seller, draft)
    waivers.revoke(admin, waiver, reason="changed")
    client.force_login(admin)
    page = Page(client.post(reverse("review_approve", args=[release.pk]), {"comment": "I read the report"}))
    assert (page.status, page.typed["comment"]) == (422, "I read the report")
    assert "RELEASE-GATE" in page.text
    page = Page(client.post(reverse("release_comment", args=[draft.listing.team.slug, release.pk]), {"body": "  "}))
    assert page.status == 422
    assert "A comment is needed" in page.text


def test_changes_asked_for_are_answered_and_asked_again(
    client: Client, seller: Any, admin: Any, draft: Version
) -> None:
    release = decisions.in_review(seller, draft)
    client.force_login(admin)
    path = reverse("review_changes", args=[release.pk])
    assert client.post(path, {"comment": " "}).status_code == 422
    assert client.post(path, {"comment": "name the metric"}).status_code == 302
    client.force_login(seller)
    page = look(client, links.release(release))
    assert "Asked for changes" in page.text
    assert "name the metric" in page.text
    answer = {"comment": "it is accuracy"}
    again = client.post(reverse("release_resubmit", args=[draft.listing.team.slug, release.pk]), answer)
    assert again.status_code == 302
    assert "it is accuracy" in look(client, links.release(release)).text


def test_a_resubmission_that_the_gate_refuses_keeps_its_comment(
    client: Client, seller: Any, admin: Any, draft: Version
) -> None:
    decisions.passed(seller, draft, os_version="12")
    waiver = decisions.waived(seller, admin, draft)
    release = releases.request_release(seller, draft)
    releases.ask_for_changes(admin, release, "please")
    waivers.revoke(admin, waiver, reason="changed")
    client.force_login(seller)
    path = reverse("release_resubmit", args=[draft.listing.team.slug, release.pk])
    page = Page(client.post(path, {"comment": "all settled"}))
    assert (page.status, page.typed["comment"]) == (422, "all settled")


def test_publish_names_its_consequence_and_shows_what_it_sends(
    client: Client, seller: Any, admin: Any, draft: Version, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    release = decisions.registered(seller, admin, draft)
    client.force_login(admin)
    with django_assert_max_num_queries(50):
        page = look(client, links.release(release))
    assert page.button("Publish on AWS Marketplace") is not None
    assert f"Publish {draft} on AWS Marketplace?" in page.html
    assert "Sample notebook address https://example.com/decision-trees/notebook.ipynb" in page.text
    assert "AddDeliveryOptions" in page.text
    assert "The Marketplace checked it without applying it and found no fault." in page.text
    client.force_login(seller)
    page = look(client, links.release(release))
    assert page.button("Publish on AWS Marketplace") is None
    assert reverse("review_publish", args=[release.pk]) not in page.actions


def test_a_refused_change_set_is_said_first_and_cannot_be_published(
    client: Client, seller: Any, admin: Any, draft: Version
) -> None:
    release = decisions.registered(seller, admin, draft, validation=decisions.REFUSED)
    client.force_login(admin)
    page = look(client, links.release(release))
    assert "Cannot be published" in page.text
    assert "INVALID_URL SampleNotebookUrl does not answer." in page.text
    assert page.button("Publish on AWS Marketplace") is None
    page = Page(client.post(reverse("review_publish", args=[release.pk])))
    assert page.status == 422
    assert "PUBLISH-VALIDATION-FAILED" in page.text


def test_a_failed_registration_shows_aws_s_reason_and_an_admin_resumes(
    client: Client, seller: Any, admin: Any, draft: Version
) -> None:
    release = decisions.approved(seller, admin, draft)
    evidence = (Evidence("AlgorithmError, exit code 1", label="train"),)
    problem = ProblemReport("REGISTER-REFUSED", {"name": "decision-trees-1-0-0", "reason": "exit code 1"}, evidence)
    decisions.register(release, StepReport(problem=problem))
    client.force_login(seller)
    page = look(client, links.release(release))
    assert "AlgorithmError, exit code 1" in page.text
    assert page.button("Resume registering") is None
    client.force_login(admin)
    assert look(client, links.release(release)).button("Resume registering") is not None
    assert client.post(reverse("review_resume", args=[release.pk])).status_code == 302
    assert flow.step_of(release, "register").attempts.count() == 2


def test_a_page_that_is_open_follows_live_and_one_that_ended_does_not(
    client: Client, seller: Any, admin: Any, draft: Version
) -> None:
    release = decisions.in_review(seller, draft)
    client.force_login(seller)
    page = look(client, links.release(release))
    assert f'data-live-url="/live/{release.pk}"' in page.html
    assert 'id="release-progress" data-live-refresh' in page.html
    releases.withdraw(seller, release)
    assert "data-live-url" not in look(client, links.release(release)).html


def test_a_form_in_use_is_never_refreshed_under_the_writer(
    client: Client, seller: Any, admin: Any, draft: Version
) -> None:
    release = decisions.in_review(seller, draft)
    client.force_login(admin)
    assert 'id="decide" data-live-refresh' not in look(client, links.release(release)).html
    client.force_login(seller)
    assert 'id="decide" data-live-refresh' in look(client, links.release(release)).html


@pytest.mark.parametrize("state", [state for state in ReleaseState if state != ReleaseState.DRAFT])
def test_every_state_has_a_page(client: Client, seller: Any, admin: Any, draft: Version, state: str) -> None:
    release = decisions.registered(seller, admin, draft)
    Release.objects.filter(pk=release.pk).update(state=state)
    for user in (seller, admin):
        client.force_login(user)
        page = look(client, links.release(release))
        assert page.status == 200
        assert ReleaseState(state).label in page.text


def test_withdrawing_asks_first_and_keeps_the_reason_when_refused(
    client: Client, seller: Any, admin: Any, draft: Version
) -> None:
    release = decisions.in_review(seller, draft)
    client.force_login(seller)
    assert "Withdraw the release of Decision trees 1.0.0?" in look(client, links.release(release)).html
    path = reverse("release_withdraw", args=[draft.listing.team.slug, release.pk])
    assert client.post(path, {"reason": "a typo"}).status_code == 302
    page = Page(client.post(path, {"reason": "once more"}))
    assert page.status == 422
    assert "The release has moved on" in page.text


def test_publishing_is_followed_to_its_end(client: Client, seller: Any, admin: Any, draft: Version) -> None:
    release = decisions.registered(seller, admin, draft)
    client.force_login(admin)
    assert client.post(reverse("review_publish", args=[release.pk])).status_code == 302
    assert "The change set is with the Marketplace" in look(client, links.release(release)).text
    planning.plan(release)
    flow.end(release, "publish", decisions.PUBLISHED)
    page = look(client, links.release(release))
    assert f"Buyers can get {draft.number}." in page.text
    assert "cs-1" in page.text


def test_the_team_reads_what_to_change_where_it_answers(
    client: Client, seller: Any, admin: Any, draft: Version
) -> None:
    release = decisions.in_review(seller, draft)
    releases.ask_for_changes(admin, release, "name the metric")
    client.force_login(seller)
    decide = look(client, links.release(release)).html.split('id="decide"')[1].split("</section>")[0]
    assert "name the metric" in decide
