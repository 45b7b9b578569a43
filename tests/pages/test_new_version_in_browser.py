"""The specification's form in a real browser, with script and without. Any script error or refused resource fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from listings import spec
from listings.models import Listing, Upload, Version
from tests.browser import expect_no_sideways_scroll

pytestmark = pytest.mark.django_db(transaction=True)
Open = Callable[..., Page]
PARAMETERS = "training.SupportedHyperParameters"


def address(listing: Listing) -> str:
    return f"/t/{listing.team.slug}/listings/{listing.slug}/versions/new/"


def fill_in(page: Page, listing: Listing, section: str = "training") -> None:
    page.goto(address(listing))
    page.check("[name=spec_origin][value=here]")
    page.locator(f"#spec-{section} > summary").click()


def choose_source(page: Page, tmp_path: Path) -> None:
    source = tmp_path / "source.zip"
    source.write_bytes(b"a source")
    page.set_input_files("#id_source_file", source)
    expect(page.locator(".upload-kept .name").first).to_have_text("source.zip")


def create(page: Page) -> None:
    with page.expect_navigation():
        page.locator(".form-end .btn-primary").click()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_open_form_fits_every_width(
    open_window: Open, seller: Any, listing: Listing, width: int, theme: Literal["light", "dark"]
) -> None:
    page = open_window(seller, width=width, theme=theme)
    page.goto(address(listing))
    expect(page.locator(".spec-here")).to_be_hidden()
    page.check("[name=spec_origin][value=here]")
    page.evaluate("document.querySelectorAll('.spec-section').forEach((section) => { section.open = true; })")
    expect(page.locator("#spec-listing-data .spec-rows").last).to_be_visible()
    expect_no_sideways_scroll(page)
    for element in page.locator(".spec-here input:visible, .spec-here textarea:visible").all():
        box = element.bounding_box()
        assert box
        assert box["x"] + box["width"] <= width


def test_a_specification_is_filled_in_and_becomes_a_version(
    open_window: Open, seller: Any, listing: Listing, tmp_path: Path
) -> None:
    page = open_window(seller)
    fill_in(page, listing)
    choose_source(page, tmp_path)
    types = page.locator("#spec-training .chips").first
    types.locator("input").fill("ml.m5.xlarge, ml.c5.xlarge")
    types.locator("input").press("Enter")
    types.get_by_label("Remove ml.c5.xlarge").click()
    rows = page.locator(f"[data-rows='{PARAMETERS}']")
    rows.get_by_text("Add hyperparameter").click()
    expect(page.locator(f"[name='{PARAMETERS}-3-Name']")).to_be_focused()
    page.keyboard.type("mode")
    row = rows.locator(".spec-row").last
    row.locator("select").select_option("Categorical")
    expect(row.locator("[name$=-min]")).to_be_hidden()
    row.locator("[name$=-values]").fill("fast\nexact")
    row.locator("[name$=-DefaultValue]").fill("exact")
    create(page)
    made = Version.objects.get()
    assert made.spec
    training = spec.VersionSpec.stored(made.spec).training
    assert training
    assert training.SupportedTrainingInstanceTypes == ["ml.m5.large", "ml.m5.xlarge"]
    assert [(each.Name, each.DefaultValue) for each in training.SupportedHyperParameters] == [
        ("rounds", "10"),
        ("mode", "exact"),
    ]
    assert page.url.endswith(f"/versions/{made.number}/")


def test_a_problem_leads_to_its_input_and_nothing_is_lost(
    open_window: Open, seller: Any, listing: Listing, tmp_path: Path
) -> None:
    page = open_window(seller)
    fill_in(page, listing, "tests-inference")
    choose_source(page, tmp_path)
    page.fill("[name='tests.inference.requests-0-body']", "/etc/passwd")
    create(page)
    expect(page.locator("[data-problems] li")).to_have_count(1)
    expect(page.locator(".upload-kept .name").first).to_have_text("source.zip")
    page.locator("#spec-tests-inference > summary").click()
    page.locator("[data-problems] a").click()
    expect(page.locator("[name='tests.inference.requests-0-body']")).to_be_focused()
    expect(page.locator("[name='tests.inference.requests-0-body']")).to_have_value("/etc/passwd")
    page.keyboard.press("Enter")
    page.fill("[name='tests.inference.requests-0-body']", "sample/request.csv")
    create(page)
    assert Version.objects.get().source == Upload.objects.get()


def test_a_removed_row_can_be_taken_back(open_window: Open, seller: Any, listing: Listing) -> None:
    page = open_window(seller)
    fill_in(page, listing)
    rows = page.locator("[data-rows='training.MetricDefinitions']")
    rows.get_by_label("Remove this metric").click()
    expect(rows).to_contain_text("Removed train:error.")
    expect(rows.locator("[name$=-Name]")).to_be_hidden()
    rows.get_by_text("Undo").click()
    expect(rows.locator("[name$=-Name]")).to_be_visible()
    rows.get_by_label("Remove this metric").click()
    with page.expect_download() as download:
        page.get_by_text("Download as slipway.yaml").click()
    made = spec.parse(Path(download.value.path()).read_text())
    assert made.training
    assert made.training.MetricDefinitions == []
    assert download.value.suggested_filename == "slipway.yaml"


def test_an_algorithm_that_only_trains(open_window: Open, seller: Any, listing: Listing) -> None:
    page = open_window(seller)
    fill_in(page, listing, "inference")
    expect(page.locator("#spec-tests-inference")).to_be_visible()
    page.uncheck("[name=inference-given]")
    expect(page.locator("#spec-inference .spec-parts")).to_be_hidden()
    expect(page.locator("#spec-tests-inference")).to_be_hidden()
    with page.expect_download() as download:
        page.get_by_text("Download as slipway.yaml").click()
    assert spec.parse(Path(download.value.path()).read_text()).inference is None


def test_everything_works_without_script(
    browser: Browser, live_server: Any, client: Client, seller: Any, listing: Listing, tmp_path: Path
) -> None:
    client.force_login(seller)
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    cookie = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    page = context.new_page()
    fill_in(page, listing)
    source = tmp_path / "source.zip"
    source.write_bytes(b"a source")
    page.set_input_files("#id_source_file", source)
    page.fill(f"[name='{PARAMETERS}-1-Name']", "a")
    page.fill(f"[name='{PARAMETERS}-2-Name']", "b")
    page.locator(f"[name=more][value='{PARAMETERS}']").click()
    expect(page.locator(".upload-kept .name").first).to_have_text("source.zip")
    page.locator("#spec-training > summary").click()
    page.fill(f"[name='{PARAMETERS}-4-Name']", "c")
    page.check(f"[name='{PARAMETERS}-1-DELETE']")
    page.fill("#id_training-SupportedTrainingInstanceTypes", "ml.m5.large, ml.m5.xlarge")
    page.locator(".form-end .btn-primary").click()
    expect(page).to_have_url(re.compile(r"/versions/1\.0\.0/$"))
    context.close()
    made = Version.objects.get().spec
    assert made
    assert [each["Name"] for each in made["training"]["SupportedHyperParameters"]] == ["rounds", "b", "c"]
    assert made["training"]["SupportedTrainingInstanceTypes"] == ["ml.m5.large", "ml.m5.xlarge"]
