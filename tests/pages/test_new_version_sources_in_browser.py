"""New version from Git and from an image in a real browser, and the pages around it, at both widths and themes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from listings.models import Credential, CredentialKind, Listing, SourceKind, Version
from listings.services import credentials, standing_sources
from listings.services.origins import Origin
from tests.browser import expect_no_sideways_scroll

pytestmark = pytest.mark.django_db(transaction=True)
Open = Callable[..., Page]
GIT = "git@git.example.com:acme/trees.git"


def address(listing: Listing, rest: str = "versions/new/") -> str:
    return f"/t/{listing.team.slug}/listings/{listing.slug}/{rest}"


@pytest.fixture
def key(seller: Any, listing: Listing) -> Credential:
    return credentials.create(seller, listing.team, kind=CredentialKind.SSH_KEY, name="Trees", host="git.example.com")


def fits(page: Page, width: int) -> None:
    expect_no_sideways_scroll(page)
    for element in page.locator("main input:visible, main textarea:visible, main select:visible").all():
        box = element.bounding_box()
        assert box
        assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_a_version_from_git(open_window: Open, seller: Any, listing: Listing, key: Credential, width: int) -> None:
    page = open_window(seller, width=width)
    page.goto(address(listing))
    expect(page.locator("#id_source_file")).to_be_visible()
    expect(page.locator("#id_git_url")).to_be_hidden()
    page.get_by_label("Git", exact=False).first.check()
    expect(page.locator("#id_source_file")).to_be_hidden()
    expect(page.locator("#id_image_reference")).to_be_hidden()
    page.fill("#id_git_url", GIT)
    page.fill("#id_git_ref", "--upload-pack=x")
    page.fill("#id_directory", "models/trees")
    page.select_option("#id_git_credential", str(key.pk))
    expect(page.locator("[data-echo=git_url]")).to_have_text(GIT)
    expect(page.locator("[data-echo=directory]")).to_have_text("models/trees")
    fits(page, width)
    with page.expect_navigation():
        page.locator(".form-end .btn-primary").click()
    expect(page.locator("#id_git_ref-error")).to_contain_text("ADDRESS-REF")
    expect(page.locator("#id_git_url")).to_have_value(GIT)
    expect(page.locator("#id_directory")).to_have_value("models/trees")
    expect(page.locator("#id_git_credential")).to_have_value(str(key.pk))
    fits(page, width)
    page.fill("#id_git_ref", "")
    expect(page.locator("[data-echo=git_ref]")).to_have_text("default branch")
    with page.expect_navigation():
        page.locator(".form-end .btn-primary").click()
    version = Version.objects.get()
    assert (version.git_url, version.git_ref, version.directory) == (GIT, "", "models/trees")
    assert version.credential == key
    expect(page.locator("#evidence")).to_contain_text(GIT)
    expect_no_sideways_scroll(page)


def test_a_version_from_an_image_with_its_bundle(
    open_window: Open, seller: Any, listing: Listing, tmp_path: Path
) -> None:
    page = open_window(seller)
    page.goto(address(listing))
    page.check("[name=source_kind][value=image]")
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(b"a bundle")
    page.set_input_files("#id_bundle_file", bundle)
    expect(page.locator(".from-image .upload-kept .name")).to_have_text("bundle.zip")
    expect(page.locator("[data-echo=bundle_id]")).to_have_text("bundle.zip")
    with page.expect_navigation():
        page.locator(".form-end .btn-primary").click()
    expect(page.locator("#id_image_reference-error")).to_be_visible()
    expect(page.locator(".from-image .upload-kept .name")).to_have_text("bundle.zip")
    page.fill("#id_image_reference", "ghcr.io/acme/trees:1.0")
    with page.expect_navigation():
        page.locator(".form-end .btn-primary").click()
    version = Version.objects.get()
    assert version.image_reference == "ghcr.io/acme/trees:1.0"
    assert version.source is not None
    assert version.source.filename == "bundle.zip"


def test_git_without_script(browser: Browser, live_server: Any, client: Client, seller: Any, listing: Listing) -> None:
    client.force_login(seller)
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    cookie = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    page = context.new_page()
    page.goto(address(listing))
    page.check("[name=source_kind][value=git]")
    page.fill("#id_git_url", "https://git.example.com/acme/trees.git")
    page.locator(".form-end .btn-primary").click()
    page.wait_for_url("**/versions/1.0.0/")
    context.close()
    assert Version.objects.get().git_url == "https://git.example.com/acme/trees.git"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_pages_of_sources_and_credentials_fit(
    open_window: Open, seller: Any, listing: Listing, key: Credential, width: int, theme: Literal["light", "dark"]
) -> None:
    origin = Origin(SourceKind.GIT, git_url="git@git.example.com:acme/" + "long-name-" * 20, credential=key)
    standing_sources.save(seller, listing, origin)
    page = open_window(seller, width=width, theme=theme)
    team = f"/t/{listing.team.slug}/"
    for path in (
        address(listing, "source/"), f"{team}credentials/", f"{team}credentials/new/", f"{team}credentials/{key.pk}/",
    ):  # fmt: skip
        page.goto(path)
        fits(page, width)


def test_a_deploy_key_is_made_copied_and_rotated(open_window: Open, seller: Any, listing: Listing) -> None:
    page = open_window(seller)
    page.goto(f"/t/{listing.team.slug}/credentials/new/")
    expect(page.locator("#id_secret")).to_be_visible()
    page.check("[value=ssh_key]")
    expect(page.locator("#id_secret")).to_be_hidden()
    expect(page.locator("#id_private_key")).to_be_hidden()
    page.fill("#id_name", "Trees")
    page.fill("#id_host", "git.example.com")
    page.get_by_role("button", name="Keep credential").click()
    made = Credential.objects.get()
    expect(page.locator(".public-key")).to_have_text(made.public_key)
    page.get_by_role("button", name="Rotate").click()
    expect(page.locator(".public-key")).not_to_have_text(made.public_key)
    made.refresh_from_db()
    expect(page.locator(".public-key")).to_have_text(made.public_key)
    page.get_by_role("button", name="Remove credential").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove credential").click()
    expect(page.locator("main")).to_contain_text("No credential yet")
    assert not Credential.objects.exists()
