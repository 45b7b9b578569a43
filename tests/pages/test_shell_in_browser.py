"""The frame in a real browser: widths, content policy, keyboard, theme, uploads, confirmations."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from listings.models import Listing, Upload, Version
from listings.services import versions
from tests import flow
from tests.browser import expect_no_sideways_scroll

pytestmark = pytest.mark.django_db(transaction=True)
Open = Callable[..., Page]


@pytest.fixture
def passed(seller: Any, draft: Version) -> Version:
    run = versions.submit_version(seller, draft)
    flow.run_through(run)
    return draft


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_scrolls_sideways_or_breaks_the_policy(
    open_window: Open, seller: Any, passed: Version, width: int, theme: Literal["light", "dark"]
) -> None:
    team = f"/t/{passed.listing.team.slug}/"
    listing = f"{team}listings/{passed.listing.slug}/"
    page = open_window(seller, width=width, theme=theme)
    for address in (
        "/", f"{team}listings/", f"{team}listings/new/", listing, f"{listing}edit/", f"{listing}versions/new/",
        f"{listing}versions/{passed.number}/", f"{team}members/", f"{team}releases/", f"{team}waivers/", "/notices/",
        "/search/?q=de", "/teams/new/", "/account/profile/", "/account/email/", "/account/2fa/",
    ):  # fmt: skip
        page.goto(address)
        expect_no_sideways_scroll(page)
        assert page.get_attribute("html", "data-bs-theme") == theme, address


def test_the_keyboard_reaches_everything(open_window: Open, seller: Any, listing: Listing) -> None:
    page = open_window(seller)
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("decision")
    expect(page.get_by_role("option").first).to_contain_text("Decision trees")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/listings/{listing.slug}/$"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("New version")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile("/versions/new/$"))
    page.locator("[name=number]").focus()
    page.keyboard.type("gl?")
    expect(page).to_have_url(re.compile("/versions/new/$"))
    page.locator("[name=number]").blur()
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page).to_have_url(re.compile("/listings/$"))


def test_a_chosen_theme_takes_effect_at_once_and_stays(open_window: Open, seller: Any) -> None:
    page = open_window(seller, theme="dark")
    page.goto("/")
    assert page.get_attribute("html", "data-bs-theme") == "dark"
    page.get_by_label("Your account").click()
    with page.expect_response("**/account/theme/"):
        page.get_by_role("button", name="Light", exact=True).click()
    assert page.get_attribute("html", "data-bs-theme") == "light"
    page.reload()
    assert page.get_attribute("html", "data-bs-theme") == "light"
    seller.refresh_from_db()
    assert seller.theme == "light"


def test_an_upload_shows_itself_and_outlives_an_error(
    open_window: Open, seller: Any, listing: Listing, tmp_path: Path
) -> None:
    source = tmp_path / "context.tar.gz"
    source.write_bytes(b"x" * 300_000)
    page = open_window(seller)
    page.goto(f"/t/{listing.team.slug}/listings/{listing.slug}/versions/new/")
    page.locator("[name=source_file]").set_input_files(source)
    kept = page.locator(".upload-kept").first
    expect(kept).to_contain_text("context.tar.gz")
    expect(kept).to_contain_text("300")
    page.locator("[name=number]").fill("one")
    page.get_by_role("button", name="Create and run").last.click()
    expect(page.get_by_text("VERSION-NUMBER")).to_be_visible()
    expect(page.locator(".upload-kept").first).to_contain_text("context.tar.gz")
    page.locator("[name=number]").fill("1.0.0")
    page.get_by_role("button", name="Create and run").last.click()
    expect(page).to_have_url(re.compile("/versions/1.0.0/$"))
    assert Upload.objects.count() == 1


def test_a_consequence_is_confirmed_in_words_that_name_the_thing(
    open_window: Open, seller: Any, listing: Listing
) -> None:
    page = open_window(seller)
    page.goto(f"/t/{listing.team.slug}/listings/{listing.slug}/")
    page.get_by_role("button", name="Archive").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Archive Decision trees?")
    dialog.get_by_role("button", name="Cancel").click()
    listing.refresh_from_db()
    assert not listing.is_archived
    page.get_by_role("button", name="Archive").click()
    page.get_by_role("button", name="Archive listing").click()
    expect(page.get_by_role("button", name="Restore")).to_be_visible()
    expect(page.locator(".toast-note")).to_contain_text("Archived")


def test_the_pages_work_without_script(browser: Any, live_server: Any, open_window: Open, seller: Any, listing: Listing,
                                       client: Any, tmp_path: Path) -> None:  # fmt: skip
    source = tmp_path / "context.zip"
    source.write_bytes(b"x" * 100)
    client.force_login(seller)
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    context.add_cookies([cookie])
    page = context.new_page()
    page.goto(f"/t/{listing.team.slug}/listings/{listing.slug}/versions/new/")
    page.get_by_label("Your account").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.locator("[name=source_file]").set_input_files(source)
    page.locator("[name=number]").fill("1.0.0")
    page.get_by_role("button", name="Create and run").last.click()
    expect(page).to_have_url(re.compile("/versions/1.0.0/$"))
    page.get_by_role("link", name="Search").first.click()
    expect(page).to_have_url(re.compile("/search/$"))
    context.close()
