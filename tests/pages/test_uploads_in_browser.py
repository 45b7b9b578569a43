"""Uploads in a real browser: pause, a connection that breaks, a window that closes, a file that changes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, Route, expect

from listings import blobs
from listings.models import IncomingUpload, Listing, Upload, Version
from listings.services import incoming
from tests.browser import expect_no_sideways_scroll

pytestmark = pytest.mark.django_db(transaction=True)
Open = Callable[..., Page]
MB = 1_000_000


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """30 MB that compress to nothing less: four pieces."""
    path = tmp_path / "source.tar.gz"
    path.write_bytes(os.urandom(30 * MB))
    return path


def open_form(page: Page, listing: Listing) -> None:
    page.goto(f"/t/{listing.team.slug}/listings/{listing.slug}/versions/new/")


def slow(page: Page, bytes_per_second: int = 6 * MB) -> Callable[[bool], object]:
    """Slow the page's network down; the answer takes it off the network and back on."""
    session = page.context.new_cdp_session(page)

    def emulate(offline: bool) -> object:
        conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second}
        return session.send("Network.emulateNetworkConditions", {"offline": offline, **conditions})

    emulate(False)
    return emulate


def expect_kept(page: Page, path: Path) -> None:
    expect(page.locator(".upload-kept .name").first).to_have_text(path.name, timeout=60_000)
    upload = Upload.objects.get()
    assert page.locator("[name=source_id]").input_value() == str(upload.pk)
    assert upload.blob_id == hashlib.sha256(path.read_bytes()).hexdigest()
    with blobs.open_blob(upload.blob_id) as stored:
        assert stored.read() == path.read_bytes()
    assert list(incoming.directory().iterdir()) == []
    assert page.evaluate("localStorage.length") == 0


def wait_until_arrived(page: Page, count: int) -> None:
    """Until the server has ``count`` bytes of the only upload."""
    for _ in range(600):
        if IncomingUpload.objects.filter(offset__gte=count).exists():
            return
        page.wait_for_timeout(50)
    raise AssertionError("nothing arrived")


def test_a_large_file_is_paused_and_resumed_and_becomes_a_version(
    open_window: Open, seller: Any, listing: Listing, large: Path
) -> None:
    page = open_window(seller)
    open_form(page, listing)
    slow(page)
    page.set_input_files("#id_source_file", large)
    wait_until_arrived(page, 8 * MB)
    expect(page.locator(".upload-numbers").first).to_contain_text(re.compile(r"of 30\.0 MB · .*/s · .* left"))
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".upload-state").first).to_have_text("Paused. What has arrived is kept.")
    page.locator(".form-end .btn-primary").click()
    expect(page.locator(".upload-state").first).to_contain_text("resume or cancel it")
    assert not Upload.objects.exists()
    page.get_by_role("button", name="Resume").press("Enter")
    expect_kept(page, large)
    with page.expect_navigation():
        page.locator(".form-end .btn-primary").click()
    assert Version.objects.get().source == Upload.objects.get()


def test_a_form_that_is_sent_too_early_goes_when_its_file_is_there(
    open_window: Open, seller: Any, listing: Listing, large: Path
) -> None:
    page = open_window(seller)
    open_form(page, listing)
    slow(page)
    page.set_input_files("#id_source_file", large)
    wait_until_arrived(page, 8 * MB)
    with page.expect_navigation(timeout=60_000):
        page.locator(".form-end .btn-primary").click()
    assert Version.objects.get().source == Upload.objects.get()


def test_a_file_chosen_before_the_scripts_have_arrived_is_uploaded(
    open_window: Open, seller: Any, listing: Listing, large: Path
) -> None:
    page = open_window(seller)
    held: list[Route] = []
    page.route(re.compile(r"/js/upload\."), lambda route: held.append(route))
    page.goto(f"/t/{listing.team.slug}/listings/{listing.slug}/versions/new/", wait_until="commit")
    page.set_input_files("#id_source_file", large)
    assert held
    assert page.locator(".upload-state").first.text_content() == ""
    for route in held:
        route.continue_()
    expect_kept(page, large)


def test_a_closed_window_costs_only_the_piece_under_way(
    open_window: Open, seller: Any, listing: Listing, large: Path
) -> None:
    page = open_window(seller)
    open_form(page, listing)
    slow(page)
    page.set_input_files("#id_source_file", large)
    wait_until_arrived(page, 8 * MB)
    page.reload()
    arrived = IncomingUpload.objects.get().offset
    expect(page.locator(".upload-earlier").first).to_be_visible()
    expect(page.locator(".upload-earlier").first).to_contain_text(f"{large.name}, {arrived / MB:.1f} MB of 30.0 MB")
    offsets: list[int] = []
    page.on(
        "request",
        lambda request: offsets.append(int(request.headers["upload-offset"])) if request.method == "PATCH" else None,
    )
    page.set_input_files("#id_source_file", large)
    expect(page.locator(".upload-earlier").first).to_be_hidden()
    expect_kept(page, large)
    assert min(offsets) >= arrived
    assert IncomingUpload.objects.count() == 1


def test_an_upload_of_an_earlier_page_can_be_discarded(
    open_window: Open, seller: Any, listing: Listing, large: Path
) -> None:
    page = open_window(seller)
    open_form(page, listing)
    slow(page)
    page.set_input_files("#id_source_file", large)
    wait_until_arrived(page, 8 * MB)
    page.reload()
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("button", name="Discard").click()
    assert not IncomingUpload.objects.exists()
    assert page.evaluate("localStorage.length") == 0


def test_cancelling_keeps_nothing(open_window: Open, seller: Any, listing: Listing, large: Path) -> None:
    page = open_window(seller)
    open_form(page, listing)
    slow(page)
    page.set_input_files("#id_source_file", large)
    wait_until_arrived(page, 8 * MB)
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator(".upload-state").first).to_contain_text("Cancelled")
    expect(page.locator("#id_source_file")).to_be_focused()
    assert not IncomingUpload.objects.exists()


class Breaks:
    """A network that treats requests for a file in pieces in the ways given, one after the other."""

    def __init__(self, *ways: str) -> None:
        self.ways = list(ways)
        self.met: list[str] = []

    def __call__(self, route: Route) -> None:
        way = self.ways.pop(0) if self.ways and route.request.method in ("PATCH", "HEAD") else "through"
        self.met.append(f"{way} {route.request.method}")
        if way == "cut":
            route.abort("connectionreset")
        elif way == "through":
            route.continue_()
        else:
            route.fulfill(status=int(way), body="from a proxy")


@pytest.fixture
def frail_page(browser: Browser, live_server: Any, client: Client, seller: Any) -> Iterator[Page]:
    """A page whose failing requests are no fault: they are the test. Script errors are."""
    client.force_login(seller)
    context = browser.new_context(base_url=live_server.url)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert faults == []


def test_a_connection_that_breaks_costs_nothing_that_has_arrived(
    frail_page: Page, listing: Listing, large: Path
) -> None:
    page = frail_page
    open_form(page, listing)
    breaks = Breaks("through", "cut", "502", "through", "503")
    page.route("**/uploads/tus/*/", breaks)
    page.set_input_files("#id_source_file", large)
    expect(page.locator(".upload-state").first).to_contain_text("Trying again in", timeout=30_000)
    expect_kept(page, large)
    # A proxy's answer to HEAD is no reason to begin anew, and one upload is all there was.
    assert breaks.met[:6] == ["through PATCH", "cut PATCH", "502 HEAD", "through HEAD", "503 PATCH", "through HEAD"]
    assert breaks.met[6:] == ["through PATCH"] * 3
    assert IncomingUpload.objects.count() == 1


def test_being_offline_is_told_and_ends_with_the_network(frail_page: Page, listing: Listing, large: Path) -> None:
    page = frail_page
    open_form(page, listing)
    offline = slow(page)
    page.set_input_files("#id_source_file", large)
    wait_until_arrived(page, 8 * MB)
    offline(True)
    expect(page.locator(".upload-state").first).to_contain_text("The connection broke. Trying again in", timeout=30_000)
    offline(False)
    expect_kept(page, large)


def test_a_piece_that_is_damaged_on_its_way_is_sent_again(
    frail_page: Page, listing: Listing, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged, write = [], incoming._write

    def damage_one(part: Any, offset: int, content: Any, length: int) -> bytes:
        if offset and not damaged:
            damaged.append(offset)
            return write(part, offset, BytesIO(b"\0" + content.read(length)[1:]), length)
        return write(part, offset, content, length)

    monkeypatch.setattr(incoming, "_write", damage_one)
    open_form(frail_page, listing)
    frail_page.set_input_files("#id_source_file", large)
    expect_kept(frail_page, large)
    assert len(damaged) == 1


def test_a_file_that_is_not_what_was_announced_is_told_and_not_kept(
    open_window: Open, seller: Any, listing: Listing, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = incoming.begin

    def announced_otherwise(*args: Any, **kwargs: Any) -> IncomingUpload:
        return begin(*args, **{**kwargs, "sha256": "0" * 64})

    monkeypatch.setattr(incoming, "begin", announced_otherwise)
    page = open_window(seller)
    open_form(page, listing)
    page.set_input_files("#id_source_file", large)
    said = page.locator(".upload-state").first
    expect(said).to_contain_text("What arrived is not what was sent", timeout=60_000)
    expect(said).to_contain_text("UPLOAD-CHECKSUM")
    expect(page.locator("#id_source_file")).to_be_enabled()
    assert not Upload.objects.exists()
    assert not IncomingUpload.objects.exists()


def test_signing_out_elsewhere_pauses_and_signing_in_again_resumes(
    frail_page: Page, listing: Listing, large: Path, seller: Any
) -> None:
    page = frail_page
    open_form(page, listing)
    slow(page)
    page.set_input_files("#id_source_file", large)
    wait_until_arrived(page, 8 * MB)
    page.context.clear_cookies(name="sessionid")
    expect(page.locator(".upload-state").first).to_contain_text("You are signed out", timeout=30_000)
    other = page.context.new_page()
    other.goto("/account/login/")
    other.fill("[name=login]", seller.email)
    other.fill("[name=password]", "a-long-passphrase")
    other.locator("main button.btn-primary").click()
    expect(other).not_to_have_url(re.compile("login"))
    page.get_by_role("button", name="Resume").click()
    expect_kept(page, large)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_every_width(
    open_window: Open, seller: Any, listing: Listing, large: Path, width: int, theme: Literal["light", "dark"]
) -> None:
    page = open_window(seller, width=width, theme=theme)
    open_form(page, listing)
    slow(page)
    page.set_input_files("#id_source_file", large)
    expect(page.get_by_role("button", name="Pause")).to_be_visible(timeout=30_000)
    expect(page.locator(".upload-numbers").first).to_contain_text("MB")
    expect_no_sideways_scroll(page)
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#id_source_file")).to_be_visible()
