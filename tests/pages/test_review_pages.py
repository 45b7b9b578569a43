"""The admins' queue, and a team's waivers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from listings import links
from listings.models import Listing, Version, Waiver
from listings.reports import ProblemReport, StepReport
from listings.services import listings as listing_service
from listings.services import teams, versions, waivers
from tests.pages import decisions
from tests.pages.decisions import Page, look

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(seller: Any, draft: Version) -> Waiver:
    return waivers.ask(seller, draft, code="GATE-OS", subject="debian:12", reason="our base image")


@pytest.fixture
def reviewer(client: Client, admin: Any) -> Client:
    client.force_login(admin)
    return client


def another(seller: Any, listing: Listing, name: str, upload: Any) -> Version:
    other = listing_service.create_listing(
        seller, listing.team, kind=listing.kind, name=name, product_id=f"prod-{name.lower()}12345"
    )
    return versions.create_version(seller, other, number="1.0.0", source=upload)


def test_sellers_have_no_queue(client: Client, seller: Any, team: Any) -> None:
    client.force_login(seller)
    assert client.get(reverse("review")).status_code == 403


def test_an_empty_queue_says_so(reviewer: Client) -> None:
    page = look(reviewer, reverse("review"))
    assert "No release asks for a review." in page.text
    assert "Nobody asks for one." in page.text


def test_the_queue_holds_everything_that_waits_for_an_admin(
    reviewer: Client, seller: Any, admin: Any, draft: Version, upload: Any,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    decisions.in_review(seller, draft)
    decisions.registered(seller, admin, another(seller, draft.listing, "Tagger", upload))
    refused = another(seller, draft.listing, "Oracle", upload)
    decisions.registered(seller, admin, refused, validation=decisions.REFUSED)
    failing = decisions.approved(seller, admin, another(seller, draft.listing, "Router", upload))
    problem = ProblemReport("REGISTER-REFUSED", {"name": "router", "reason": "exit code 1"})
    decisions.register(failing, StepReport(problem=problem))
    waivers.ask(seller, draft, code="GATE-OS", subject="debian:12", reason="our base image")
    with django_assert_max_num_queries(18):
        page = look(reviewer, reverse("review"))
    assert "Decision trees 1.0.0 asks for a review" in page.text
    assert "Tagger 1.0.0 is registered and waits for your word" in page.text
    assert "Oracle 1.0.0 is registered, but the Marketplace refused its change set" in page.text
    assert "Router 1.0.0 could not be registered" in page.text
    assert "our base image" in page.text


def test_a_release_of_one_s_own_is_marked_as_another_s_to_decide(client: Client, seller: Any, draft: Version) -> None:
    decisions.in_review(seller, draft)
    seller.is_staff = True
    seller.save()
    client.force_login(seller)
    assert "another admin must decide" in look(client, reverse("review")).text


def test_a_waiver_is_granted_for_days_and_the_team_sees_it(
    reviewer: Client, client: Client, seller: Any, asked: Waiver
) -> None:
    sent = {"reason": "scannable", "days": "30", "whole_team": "on"}
    assert reviewer.post(reverse("waiver_grant", args=[asked.pk]), sent).status_code == 302
    asked.refresh_from_db()
    assert asked.version is None
    assert timedelta(days=29) < asked.expires_at - timezone.now() <= timedelta(days=30)
    client.force_login(seller)
    text = look(client, reverse("waivers", args=[asked.team.slug])).text
    assert "In force every version" in text
    assert "scannable" in text


@pytest.mark.parametrize(
    ("verb", "sent", "says"),
    [
        ("waiver_grant", {"reason": "kept words", "days": "0"}, "greater than or equal to 1"),
        ("waiver_grant", {"reason": "kept words", "days": "soon"}, "Enter a whole number"),
        ("waiver_grant", {"reason": " ", "days": "30"}, "This field is required"),
        ("waiver_refuse", {"reason": " "}, "This field is required"),
    ],
)
def test_a_faulty_answer_to_a_waiver_keeps_what_was_typed(
    reviewer: Client, asked: Waiver, verb: str, sent: dict[str, str], says: str
) -> None:
    page = Page(reviewer.post(reverse(verb, args=[asked.pk]), sent))
    assert page.status == 422
    assert says in page.text
    assert page.typed.get("reason", "") == sent["reason"].strip()
    assert page.forbidden == []
    asked.refresh_from_db()
    assert asked.granted_at is None
    assert asked.refused_at is None


def test_a_waiver_is_refused_with_a_reason_that_the_team_reads(
    reviewer: Client, client: Client, seller: Any, asked: Waiver
) -> None:
    assert reviewer.post(reverse("waiver_refuse", args=[asked.pk]), {"reason": "rebuild on 10"}).status_code == 302
    client.force_login(seller)
    text = look(client, reverse("waivers", args=[asked.team.slug])).text
    assert "Refused" in text
    assert "rebuild on 10" in text


def test_who_asked_for_a_waiver_does_not_decide_on_it(client: Client, seller: Any, asked: Waiver) -> None:
    seller.is_staff = True
    seller.save()
    client.force_login(seller)
    page = look(client, reverse("review"))
    assert "You asked for it; another admin decides." in page.text
    assert reverse("waiver_grant", args=[asked.pk]) not in page.actions
    page = Page(client.post(reverse("waiver_grant", args=[asked.pk]), {"reason": "fine", "days": "3"}))
    assert (page.status, "WAIVER-OWN" in page.text) == (422, True)


def test_two_admins_who_decide_at_once_are_told_and_the_words_are_kept(reviewer: Client, admin: Any,
                                                                    asked: Waiver) -> None:  # fmt: skip
    waivers.refuse(admin, asked, reason="no")
    sent = {"reason": "my careful words", "days": "30"}
    page = Page(reviewer.post(reverse("waiver_grant", args=[asked.pk]), sent))
    assert page.status == 422
    assert "WAIVER-DECIDED" in page.text
    assert "my careful words" in page.text


def test_a_waiver_in_force_is_revoked_with_a_reason(reviewer: Client, admin: Any, asked: Waiver) -> None:
    waivers.grant(admin, asked, reason="ok", expires_at=timezone.now() + timedelta(days=5))
    page = look(reviewer, reverse("review"))
    assert "Revoke the waiver of debian:12?" in page.html
    path = reverse("waiver_revoke", args=[asked.pk])
    assert reviewer.post(path, {"reason": ""}).status_code == 422
    assert reviewer.post(path, {"reason": "a fix is out"}).status_code == 302
    assert "Revoked" in look(reviewer, reverse("waivers", args=[asked.team.slug])).text


def test_an_expired_waiver_leaves_the_queue_and_stays_in_the_list(reviewer: Client, admin: Any, asked: Waiver) -> None:
    waivers.grant(admin, asked, reason="ok", expires_at=timezone.now() + timedelta(days=5))
    Waiver.objects.filter(pk=asked.pk).update(expires_at=timezone.now() - timedelta(minutes=1))
    assert reverse("waiver_revoke", args=[asked.pk]) not in look(reviewer, reverse("review")).actions
    assert "Expired" in look(reviewer, reverse("waivers", args=[asked.team.slug])).text


def test_the_list_of_waivers_costs_few_queries_and_teaches_when_empty(
    client: Client, seller: Any, draft: Version, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(seller)
    path = reverse("waivers", args=[draft.listing.team.slug])
    assert "Nothing is waived" in look(client, path).text
    for number in range(6):
        waivers.ask(seller, draft, code="GATE-FINDING", subject=f"CVE-2026-{number}", reason="no fix yet")
    with django_assert_max_num_queries(14):
        page = look(client, path)
    assert page.text.count("no fix yet") == 6


def test_other_teams_waivers_are_not_shown(client: Client, make_user: Any, asked: Waiver) -> None:
    other = make_user("olga")
    teams.create_team(other, "Other")
    client.force_login(other)
    assert client.get(reverse("waivers", args=[asked.team.slug])).status_code == 404


def test_a_decision_leads_back_to_the_release(reviewer: Client, seller: Any, draft: Version) -> None:
    release = decisions.in_review(seller, draft)
    answer = reviewer.post(reverse("review_approve", args=[release.pk]), {"comment": "fine"})
    assert answer.headers["Location"] == links.release(release)
