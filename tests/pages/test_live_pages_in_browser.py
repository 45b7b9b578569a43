"""Pages that change by themselves while somebody uses them. What the live stream says is told by the test."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from listings import links
from listings.models import Release, Version
from listings.states import ReleaseState
from tests.pages import decisions

pytestmark = pytest.mark.django_db(transaction=True)
Open = Callable[..., Page]
#: Past the page's own waiting until it asks for what changed, and the answer.
SETTLED_MS = 1500


def is_stream(url: str) -> bool:
    """Tickets for it are the portal's own to give."""
    return urlsplit(url).path.startswith("/live/")


class Changes:
    """Tells the page of a change with every new connection, of which it opens one after the other."""

    def __init__(self, page: Page) -> None:
        self.told = 0
        page.route(is_stream, self._tell)

    def _tell(self, route: Route) -> None:
        self.told += 1
        body = f"event: state\ndata: {json.dumps({'told': self.told})}\n\n"
        route.fulfill(status=200, content_type="text/event-stream", body=body)

    def another(self, page: Page) -> None:
        before = self.told
        for _ in range(300):
            if self.told > before:
                break
            page.wait_for_timeout(100)
        assert self.told > before
        page.wait_for_timeout(SETTLED_MS)


@pytest.fixture
def release(seller: Any, admin: Any, draft: Version) -> Release:
    return decisions.registered(seller, admin, draft)


def open_release(open_window: Open, admin: Any, release: Release) -> tuple[Page, Changes]:
    page = open_window(admin)
    changes = Changes(page)
    page.goto(urlsplit(links.release(release)).path)
    changes.another(page)
    return page, changes


def ask_for_a_change(page: Page) -> None:
    """As the answer to a question that was asked just before: it arrives whatever the page waits for by now."""
    page.evaluate("document.querySelector('#decide').dispatchEvent(new CustomEvent('slipway:refresh'))")
    page.wait_for_timeout(SETTLED_MS)


def test_a_confirmed_decision_is_not_lost_when_the_page_changes_meanwhile(
    open_window: Open, admin: Any, release: Release
) -> None:
    page, changes = open_release(open_window, admin, release)
    page.get_by_role("button", name="Publish on AWS Marketplace").click()
    changes.another(page)
    ask_for_a_change(page)
    page.get_by_role("dialog").get_by_role("button", name="Publish on AWS Marketplace").click()
    expect(page.get_by_role("heading", name="Publishing", exact=True)).to_be_visible()
    release.refresh_from_db()
    assert release.state == ReleaseState.PUBLISHING


def test_what_changed_while_the_page_asked_shows_once_the_question_is_taken_back(
    open_window: Open, admin: Any, release: Release
) -> None:
    page, changes = open_release(open_window, admin, release)
    page.get_by_role("button", name="Publish on AWS Marketplace").click()
    Release.objects.filter(pk=release.pk).update(state=ReleaseState.WITHDRAWN)
    changes.another(page)
    heading = page.locator("#decision")
    expect(heading).to_have_text("Ready to publish")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(heading).to_have_text("Withdrawn")


def test_a_question_during_which_nothing_changed_changes_nothing(
    open_window: Open, admin: Any, release: Release
) -> None:
    page = open_window(admin)
    page.route(is_stream, lambda route: route.abort())
    page.goto(urlsplit(links.release(release)).path)
    page.get_by_role("button", name="Publish on AWS Marketplace").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.wait_for_timeout(SETTLED_MS)
    assert [url for url in asked if url.endswith(links.release(release))] == []


def test_a_button_that_is_pressed_stays_until_it_is_let_go(open_window: Open, admin: Any, release: Release) -> None:
    page, changes = open_release(open_window, admin, release)
    page.get_by_role("button", name="Publish on AWS Marketplace").hover()
    page.mouse.down()
    changes.another(page)
    ask_for_a_change(page)
    page.mouse.up()
    expect(page.get_by_role("dialog")).to_contain_text(f"Publish {release.version} on AWS Marketplace?")
