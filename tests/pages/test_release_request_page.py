"""Asking for a release: an open gate, a closed one, waivers asked for from there, and texts that are missing."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from listings import links
from listings.models import Release, Version, Waiver
from listings.services import listings as listing_service
from listings.services import versions
from tests.pages import decisions
from tests.pages.decisions import Page, look

pytestmark = pytest.mark.django_db


def request_path(version: Version) -> str:
    return reverse("release_request", args=[version.listing.team.slug, version.listing.slug, version.number])


def test_an_open_gate_offers_the_request(
    client: Client, seller: Any, draft: Version, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    decisions.passed(seller, draft)
    client.force_login(seller)
    with django_assert_max_num_queries(32):
        page = look(client, request_path(draft))
    assert "disabled" not in (page.button("Request release") or {"disabled": ""})
    assert client.post(request_path(draft), {"comment": "ready"}).status_code == 302
    assert Release.objects.get().comments.get().body == "ready"


def test_a_closed_gate_says_why_and_asks_for_a_waiver_from_there(client: Client, seller: Any, draft: Version) -> None:
    decisions.passed(seller, draft, os_version="12")
    client.force_login(seller)
    page = look(client, request_path(draft))
    assert "disabled" in (page.button("Request release") or {})
    assert "The gate is closed: 1 point must be fixed or waived." in page.text
    assert page.button("Ask for a waiver of debian:12") is not None
    ask = reverse("waiver_ask", args=[draft.listing.team.slug, draft.listing.slug, draft.number])
    sent = {"code": "GATE-OS", "subject": "debian:12", "reason": "our base", "next": request_path(draft)}
    answer = client.post(ask, sent)
    assert (answer.status_code, answer.headers["Location"]) == (302, request_path(draft))
    page = look(client, request_path(draft))
    assert "Waiver asked for" in page.text
    assert page.button("Ask for a waiver of debian:12") is None


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_a_waiver_request_leads_nowhere_else(client: Client, seller: Any, draft: Version, elsewhere: str) -> None:
    decisions.passed(seller, draft, os_version="12")
    client.force_login(seller)
    ask = reverse("waiver_ask", args=[draft.listing.team.slug, draft.listing.slug, draft.number])
    sent = {"code": "GATE-OS", "subject": "debian:12", "reason": "our base", "next": elsewhere}
    assert client.post(ask, sent).headers["Location"] == links.version(draft)


@pytest.mark.parametrize(("code", "reason"), [("GATE-OS", "   "), ("GATE-RUN", "typed by hand")])
def test_a_refused_waiver_request_keeps_what_was_typed(
    client: Client, seller: Any, draft: Version, code: str, reason: str
) -> None:
    decisions.passed(seller, draft, os_version="12")
    client.force_login(seller)
    ask = reverse("waiver_ask", args=[draft.listing.team.slug, draft.listing.slug, draft.number])
    page = Page(client.post(ask, {"code": code, "subject": "debian:12", "reason": reason, "next": "/"}))
    assert (page.status, page.typed.get("reason", "").strip()) == (422, reason.strip())
    assert not Waiver.objects.exists()


def test_missing_texts_are_grouped_by_where_they_are_filled_in(client: Client, seller: Any, draft: Version) -> None:
    given = decisions.sample_spec()
    given["listing"]["usage_instructions"] = ""
    listing_service.update_listing(seller, draft.listing, name="Decision trees", summary="", product_id="")
    decisions.passed(seller, draft, given=given)
    client.force_login(seller)
    page = look(client, request_path(draft))
    assert "In slipway.yaml: the Marketplace would refuse 1 field" in page.text
    assert "listing.usage_instructions : it is empty" in page.text
    assert "On the listing: the Marketplace would refuse 1 field" in page.text
    assert "2 fields that the Marketplace requires must be filled in." in page.text
    page = Page(client.post(request_path(draft), {"comment": "please anyway"}))
    assert (page.status, page.typed["comment"]) == (422, "please anyway")
    assert "CHANGESET-INCOMPLETE" in page.text


def test_a_version_without_a_run_and_a_pre_release_are_explained(
    client: Client, seller: Any, draft: Version, upload: Any
) -> None:
    client.force_login(seller)
    assert "It has not run yet." in look(client, request_path(draft)).text
    rc = versions.create_version(seller, draft.listing, number="2.0.0-rc.1", source=upload)
    decisions.passed(seller, rc)
    assert "it can be tested, but not published" in look(client, request_path(rc)).text


def test_an_open_release_is_linked_instead_of_asked_for_twice(client: Client, seller: Any, draft: Version) -> None:
    release = decisions.in_review(seller, draft)
    client.force_login(seller)
    page = look(client, request_path(draft))
    assert links.release(release) in page.html
    assert "disabled" in (page.button("Request release") or {})
