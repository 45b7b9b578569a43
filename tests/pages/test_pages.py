"""Every page of a team's work: drawn at each stage of a version's life, within its budget of queries."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from listings import starters
from listings.models import Kind, Listing, Notice, Release, Role, Team, Upload, UploadPurpose, Version
from listings.services import notices, teams, versions, waivers
from listings.states import ReleaseState
from tests import flow

pytestmark = pytest.mark.django_db
OUTGOING = {"phase": "serve", "protocol": "dns", "host": "models.example", "address": "", "port": 443, "count": 2,
            "first_seconds": 0.8, "hint": "", "log_line": 3}  # fmt: skip


@pytest.fixture
def submitted(seller: Any, draft: Version) -> Version:
    versions.submit_version(seller, draft)
    return draft


def page_of(version: Version) -> str:
    return f"/t/{version.listing.team.slug}/listings/{version.listing.slug}/versions/{version.number}/"


def test_a_member_without_a_team_is_led_to_the_first_one(signed_in: Client) -> None:
    page = signed_in.get("/").content.decode()
    assert "Start with a team" in page
    answer = signed_in.post("/teams/new/", {"name": "Acme Vision"}, follow=True)
    assert b"No listing yet" in answer.content


def test_a_team_name_that_is_missing_is_asked_for(signed_in: Client) -> None:
    answer = signed_in.post("/teams/new/", {"name": "  "})
    assert answer.status_code == 422
    assert b"form-error" in answer.content


def test_a_listing_is_made_shown_edited_archived_and_restored(signed_in: Client, team: Team) -> None:
    made = signed_in.post(
        f"/t/{team.slug}/listings/new/",
        {"kind": "Algorithm", "name": "Decision trees", "summary": "Trees", "product_id": ""}, follow=True,
    )  # fmt: skip
    listing = Listing.objects.get()
    assert b"Download the example" in made.content
    base = f"/t/{team.slug}/listings/{listing.slug}/"
    signed_in.post(base + "edit/", {"kind": "Algorithm", "name": "Oaks", "summary": "", "product_id": ""})
    assert b"Oaks" in signed_in.get(base).content
    assert b"Archived" in signed_in.post(base + "archive/", follow=True).content
    assert b"Oaks" not in signed_in.get(f"/t/{team.slug}/listings/").content
    assert b"Oaks" in signed_in.get(f"/t/{team.slug}/listings/?archived=1").content
    assert b"New version" in signed_in.post(base + "restore/", follow=True).content


def test_a_wrong_product_id_keeps_what_was_typed(signed_in: Client, team: Team) -> None:
    typed = {"kind": "Algorithm", "name": "Oaks", "summary": "A summary", "product_id": "nonsense"}
    answer = signed_in.post(f"/t/{team.slug}/listings/new/", typed)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "LISTING-PRODUCT-ID" in page
    assert all(text in page for text in ("Oaks", "A summary", "nonsense"))


def test_an_upload_outlives_the_errors_of_its_form(signed_in: Client, listing: Listing) -> None:
    address = f"/t/{listing.team.slug}/listings/{listing.slug}/versions/new/"
    sent = SimpleUploadedFile("context.tar.gz", b"bytes of a context")
    refused = signed_in.post(address, {"number": "one", "spec_origin": "source", "notes": "kept", "source_file": sent})
    page = refused.content.decode()
    assert refused.status_code == 422
    assert "VERSION-NUMBER" in page
    kept = Upload.objects.get()
    assert f'value="{kept.pk}"' in page
    assert "context.tar.gz" in page
    again = {"number": "1.0.0", "spec_origin": "source", "notes": "kept", "source_id": str(kept.pk)}
    assert signed_in.post(address, again).status_code == 302
    assert Version.objects.get().source == kept


def test_the_upload_endpoint_answers_with_the_id_that_forms_take(signed_in: Client, team: Team) -> None:
    answer = signed_in.post(
        f"/t/{team.slug}/uploads/", {"purpose": "source", "file": SimpleUploadedFile("a.zip", b"abc")}
    ).json()
    assert answer["filename"] == "a.zip"
    assert answer["size"] == 3
    assert Upload.objects.get().pk.hex == answer["id"].replace("-", "")
    missing = signed_in.post(f"/t/{team.slug}/uploads/", {"purpose": "source"})
    assert missing.status_code == 422
    assert missing.json()["code"] == "UPLOAD-MISSING"


def test_a_version_without_a_source_says_so(signed_in: Client, listing: Listing) -> None:
    address = f"/t/{listing.team.slug}/listings/{listing.slug}/versions/new/"
    answer = signed_in.post(address, {"number": "1.0.0", "spec_origin": "source", "notes": ""})
    assert answer.status_code == 422
    assert b"Choose the build context" in answer.content


def test_the_rail_shows_every_step_and_its_state(signed_in: Client, submitted: Version) -> None:
    page = signed_in.get(page_of(submitted)).content.decode()
    stops = re.findall(r'<li class="(is-\w+)[^"]*" data-step="(\w+)"', page)
    assert [name for _, name in stops] == ["fetch", "build", "inspect", "scan", "test", "push"]
    assert 'data-live-url="/live/' in page
    assert "Cancel run" in page


def test_a_failure_shows_its_problem_remedy_and_retry(signed_in: Client, submitted: Version) -> None:
    run = submitted.runs.get()
    flow.end(run, "fetch")
    flow.end(run, "build", flow.failed("BUILD-FAILED"))
    page = signed_in.get(page_of(submitted)).content.decode()
    assert 'id="problem-BUILD-FAILED"' in page
    assert "Retry build" in page
    assert "Run again" in page
    assert "data-live-url" not in page


def test_a_passed_run_shows_checks_gate_and_the_way_to_a_release(signed_in: Client, submitted: Version) -> None:
    flow.run_through(submitted.runs.get())
    page = signed_in.get(page_of(submitted)).content.decode()
    assert "1 check pass" in page
    assert 'id="gate"' in page
    assert "Request release" in page


def test_outgoing_calls_stand_on_the_version_page(signed_in: Client, submitted: Version) -> None:
    report = flow.StepReport({"outgoing": [OUTGOING]})
    flow.run_through(submitted.runs.get(), test=report)
    page = signed_in.get(page_of(submitted)).content.decode()
    assert "models.example:443" in page
    assert "#test-1-L3" in page


def test_a_failed_test_still_shows_what_it_saw(signed_in: Client, submitted: Version) -> None:
    run = submitted.runs.get()
    for name in ("fetch", "build", "inspect", "scan"):
        flow.end(run, name)
    flow.end(run, "test", flow.StepReport({"outgoing": [OUTGOING]}, problem=flow.ProblemReport("TEST-SERVE-PING")))
    page = signed_in.get(page_of(submitted)).content.decode()
    assert "models.example:443" in page
    assert 'id="problem-TEST-SERVE-PING"' in page


def test_a_waiver_asked_for_is_shown_instead_of_the_form(signed_in: Client, seller: Any, submitted: Version) -> None:
    scan = flow.StepReport(
        {}, scan=flow.ScanReport("os", "1", True, os_id="debian", os_version="12", os_name="Debian 12")
    )
    flow.run_through(submitted.runs.get(), scan=scan)
    assert b"Ask for a waiver of debian:12" in signed_in.get(page_of(submitted)).content
    signed_in.post(page_of(submitted) + "waivers/ask/", {"code": "GATE-OS", "subject": "debian:12", "reason": "fine"})
    page = signed_in.get(page_of(submitted)).content
    assert b"A waiver was asked for" in page
    assert b"Ask for a waiver of debian:12" not in page


def test_viewers_get_no_buttons_that_would_be_refused(client: Client, make_user: Any, submitted: Version) -> None:
    viewer = make_user("vera")
    teams.add_member(None, submitted.listing.team, viewer.email, Role.VIEWER)
    client.force_login(viewer)
    for address in (page_of(submitted), f"/t/{submitted.listing.team.slug}/listings/{submitted.listing.slug}/"):
        page = client.get(address).content.decode()
        main = page[page.index("<main") : page.index("</main>")]
        assert "<form" not in main
        assert "New version" not in main


def test_members_roles_are_changed_and_members_removed(signed_in: Client, team: Team, make_user: Any) -> None:
    other = make_user("olga")
    teams.add_member(None, team, other.email, Role.VIEWER)
    address = f"/t/{team.slug}/members/"
    member = team.memberships.get(user=other)
    signed_in.post(f"{address}{member.pk}/role/", {"role": "releaser"})
    assert team.memberships.get(user=other).role == Role.RELEASER
    assert b"is no longer a member" in signed_in.post(f"{address}{member.pk}/remove/", follow=True).content


def test_the_last_owner_cannot_leave(signed_in: Client, seller: Any, team: Team) -> None:
    member = team.memberships.get(user=seller)
    answer = signed_in.post(f"/t/{team.slug}/members/{member.pk}/remove/")
    assert answer.headers["Location"] == f"/t/{team.slug}/members/"
    assert b"MEMBER-LAST-OWNER" in signed_in.get(f"/t/{team.slug}/members/").content


def test_notices_lead_on_and_are_read(signed_in: Client, seller: Any, team: Team) -> None:
    notices.notify([seller], "release.comment", "Somebody answered", url=f"/t/{team.slug}/", body="Yes")
    notice = Notice.objects.get()
    assert b"Somebody answered" in signed_in.get("/").content
    assert signed_in.get(f"/notices/{notice.pk}/").headers["Location"] == f"/t/{team.slug}/"
    assert Notice.objects.get().read_at is not None


def _many(seller: Any, team: Team, count: int) -> Version:
    from listings.services.listings import create_listing

    last: Version | None = None
    for index in range(count):
        listing = create_listing(seller, team, kind=Kind.ALGORITHM, name=f"Listing {index}", product_id="prod-abcdefgh")
        upload = versions.store_upload(seller, team, UploadPurpose.SOURCE, "c.tar.gz", BytesIO(b"x"), 1)
        last = versions.create_version(seller, listing, number="1.0.0", source=upload)
        versions.submit_version(seller, last)
        if index % 2:
            flow.run_through(last.runs.get())
    assert last is not None
    return last


@pytest.mark.parametrize("count", [2, 6])
def test_pages_stay_within_their_budget_however_much_there_is(
    signed_in: Client, seller: Any, admin: Any, team: Team, count: int,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    version = _many(seller, team, count)
    waivers.ask(seller, version, code="GATE-OS", subject="debian:12", reason="fine")
    release = Release.objects.create(
        version=version, run=version.runs.get(), requested_by=seller, state=ReleaseState.IN_REVIEW
    )
    base = f"/t/{team.slug}/"
    budgets = {
        "/": 30, base + "listings/": 18, base + f"listings/{version.listing.slug}/": 18, page_of(version): 34,
        base + f"listings/{version.listing.slug}/versions/new/": 15, base + "members/": 12, "/notices/": 8,
        base + "releases/": 12, base + f"releases/{release.pk}/": 36, base + "waivers/": 12, "/palette.json?q=l": 14,
    }  # fmt: skip
    for address, budget in budgets.items():
        with django_assert_max_num_queries(budget, info=address):
            assert signed_in.get(address).status_code == 200, address
    client = Client()
    client.force_login(admin)
    for address, budget in {"/": 40, base: 40}.items():
        with django_assert_max_num_queries(budget, info=address):
            assert client.get(address).status_code == 200, address


@pytest.mark.parametrize("kind", [kind.value for kind in Kind])
def test_starter_files_are_downloads(signed_in: Client, kind: str) -> None:
    for name in ("starter.zip", *starters.starter_names(Kind(kind))):
        answer = signed_in.get(f"/starters/{kind}/{name}")
        assert answer.status_code == 200, name
        assert "attachment" in answer.headers["Content-Disposition"]
