"""The frame of every page: navigation, theme, palette, errors, and what the content policy forbids."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import path
from pytest_django import DjangoAssertNumQueries

from listings.models import Listing, Notice, Team
from listings.problems import ProblemError
from portal.urls import urlpatterns as portal_urls

pytestmark = pytest.mark.django_db
TEMPLATES = Path(django_settings.BASE_DIR)


def _boom(request: Any) -> Any:
    raise ValueError("a bug")


def _problem(request: Any) -> Any:
    raise ProblemError("VERSION-SUBMITTED", number="1.2.3")


urlpatterns = [path("boom/", _boom), path("problem/", _problem), *portal_urls]
handler500 = "portal.errors.server_error"


class Links(HTMLParser):
    """Addresses of links and forms on a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "a" and (names.get("href") or "").startswith("/"):
            self.found.append(str(names["href"]))


def test_every_link_of_the_frame_leads_somewhere(signed_in: Client, team: Team) -> None:
    page = signed_in.get("/").content.decode()
    links = {link for link in Links(page).found if "logout" not in link}
    assert f"/t/{team.slug}/listings/" in links
    for link in links:
        assert signed_in.get(link, follow=True).status_code == 200, link


def test_admins_see_the_admins_pages_and_sellers_do_not(client: Client, seller: Any, admin: Any, team: Team) -> None:
    client.force_login(seller)
    assert b'href="/review/"' not in client.get("/").content
    client.force_login(admin)
    assert b'href="/review/"' in client.get("/").content


@pytest.mark.parametrize(
    ("path", "section"),
    [("listings/decision-trees/", "listings/"), ("members/", "members/"), ("credentials/", "members/")],
)
def test_the_current_section_is_marked(signed_in: Client, listing: Listing, path: str, section: str) -> None:
    page = signed_in.get(f"/t/{listing.team.slug}/{path}").content.decode()
    [main] = re.findall(r'<nav class="shell-nav".*?</nav>', page, re.DOTALL)
    [marked] = re.findall(r'<a href="([^"]+)"[^>]* aria-current="page"', main)
    assert marked == f"/t/{listing.team.slug}/{section}"


def test_the_team_last_visited_is_the_current_one(signed_in: Client, seller: Any, team: Team) -> None:
    from listings.services import teams

    other = teams.create_team(seller, "Zebra Labs")
    signed_in.get(f"/t/{other.slug}/")
    assert b"Zebra Labs. Switch team" in signed_in.get("/notices/").content


def test_unread_notices_are_counted_in_the_bell(signed_in: Client, seller: Any, team: Team) -> None:
    Notice.objects.create(user=seller, kind="x", title="One", url="/")
    assert b"Notifications, 1 unread" in signed_in.get("/").content
    signed_in.post("/notices/read/")
    assert b"1 unread" not in signed_in.get("/").content


def test_the_frame_costs_few_queries(
    signed_in: Client, team: Team, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    signed_in.get("/notices/")
    with django_assert_max_num_queries(7):
        signed_in.get("/notices/")


@pytest.mark.parametrize(
    ("cookie", "drawn"), [("dark", "dark"), ("light", "light"), ("auto", "light"), ("pink", "light")]
)
def test_the_theme_is_drawn_by_the_server(client: Client, cookie: str, drawn: str) -> None:
    client.cookies["slipway_theme"] = cookie
    page = client.get("/account/login/").content.decode()
    assert f'data-bs-theme="{drawn}"' in page
    assert f'data-theme="{cookie if cookie != "pink" else "auto"}"' in page


def test_a_chosen_theme_stays_in_cookie_and_account(signed_in: Client, seller: Any) -> None:
    answer = signed_in.post("/account/theme/", {"theme": "dark", "next": "/notices/"})
    assert answer.headers["Location"] == "/notices/"
    assert answer.cookies["slipway_theme"].value == "dark"
    seller.refresh_from_db()
    assert seller.theme == "dark"
    fresh = Client()
    fresh.force_login(seller)
    assert b'data-bs-theme="dark"' in fresh.get("/notices/").content


def test_a_theme_cannot_send_the_reader_elsewhere(client: Client) -> None:
    answer = client.post("/account/theme/", {"theme": "dark", "next": "https://elsewhere.example/"})
    assert answer.headers["Location"] == "/"
    assert client.post("/account/theme/", {"theme": "pink"}).status_code == 400


def test_the_palette_finds_listings_versions_and_actions(signed_in: Client, draft: Any) -> None:
    hits = json.loads(signed_in.get("/palette.json?q=decision").content)["hits"]
    assert {hit["label"] for hit in hits} >= {"Decision trees", "Decision trees 1.0.0"}
    assert all(set(hit) == {"label", "hint", "url", "icon"} for hit in hits)
    for hit in hits:
        assert signed_in.get(hit["url"]).status_code == 200
    assert b"Decision trees 1.0.0" in signed_in.get("/search/?q=decision").content


def test_the_palette_tells_nothing_of_other_teams(client: Client, draft: Any, make_user: Any) -> None:
    client.force_login(make_user("stranger"))
    assert b"Decision trees" not in client.get("/palette.json?q=decision").content


@pytest.mark.urls("tests.pages.test_shell")
def test_a_bug_gets_an_id_that_is_logged_and_shown(client: Client) -> None:
    client.raise_request_exception = False
    answer = client.get("/boom/", headers={"X-Request-ID": "abcdef0123456789"})
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] == "abcdef0123456789"
    assert b"<code>abcdef0123456789</code>" in answer.content


@pytest.mark.urls("tests.pages.test_shell")
def test_a_problem_that_no_form_shows_gets_a_page_with_its_remedy(signed_in: Client) -> None:
    answer = signed_in.get("/problem/", headers={"Referer": "https://elsewhere.example/"})
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "VERSION-SUBMITTED" in page
    assert "1.2.3 can no longer be changed" in page
    assert "elsewhere" not in page


def test_missing_pages_are_themed_for_visitors_and_members(client: Client, signed_in: Client) -> None:
    for visitor in (Client(), signed_in):
        answer = visitor.get("/nope/")
        assert answer.status_code == 404
        assert b"Nothing here" in answer.content
        assert b"slipway.css" in answer.content


def test_a_refusal_says_why(client: Client, make_user: Any, listing: Listing) -> None:
    from listings.models import Role
    from listings.services import teams

    viewer = make_user("vera")
    teams.add_member(None, listing.team, viewer.email, Role.VIEWER)
    client.force_login(viewer)
    answer = client.get(f"/t/{listing.team.slug}/listings/new/")
    assert answer.status_code == 403
    assert b"This needs the role developer; yours is viewer." in answer.content


def _templates() -> list[Path]:
    return sorted(
        template
        for folder in ("portal/templates", "listings/templates")
        for template in (TEMPLATES / folder).rglob("*.html")
    )


def test_no_template_needs_what_the_content_policy_forbids() -> None:
    assert len(_templates()) > 50
    for template in _templates():
        text = template.read_text()
        assert not re.search(r"<[a-z][^>]*\sstyle=", text), f"{template}: inline style"
        assert not re.search(r"<[a-z][^>]*\son[a-z]+=", text), f"{template}: inline handler"
        assert "<style" not in text, f"{template}: style element"
        assert "javascript:" not in text, template
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text)), f"{template}: inline script"


def test_no_comment_of_a_template_reaches_the_page() -> None:
    for template in _templates():
        for number, line in enumerate(template.read_text().splitlines(), start=1):
            assert line.count("{#") == line.count("#}"), f"{template}:{number}: a comment spans lines"


def test_pages_answer_with_a_strict_policy(client: Client) -> None:
    policy = client.get("/account/login/").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy


def test_the_palette_knows_where_a_listing_is_set_up(signed_in: Client, draft: Any) -> None:
    def labels(text: str) -> set[str]:
        return {hit["label"] for hit in json.loads(signed_in.get(f"/palette.json?q={text}").content)["hits"]}

    assert "Webhooks of Decision trees" in labels("webhook")
    assert "Source of Decision trees" in labels("source")
    assert "New version of Decision trees" in labels("new version")
    assert "Credentials of Acme Vision" in labels("credential")
    assert any("invitations" in label for label in labels("invit"))


def test_the_address_of_a_button_says_that_nothing_was_done_and_leads_back(signed_in: Client, draft: Any) -> None:
    page = "/t/acme-vision/listings/decision-trees/source/"
    answer = signed_in.get(page + "remove/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert "Nothing was done" in answer.content.decode()
    assert f'href="{page}"' in answer.content.decode()
    nested = signed_in.get("/t/acme-vision/members/invitations/4b4b0f1e-2b0a-4c57-9c2d-6f3f1f6f0e11/revoke/",
                           headers={"Accept": "text/html"})  # fmt: skip
    assert 'href="/t/acme-vision/members/"' in nested.content.decode()
    assert signed_in.get(page + "remove/").content == b""
