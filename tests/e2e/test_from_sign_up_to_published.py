"""The main job in a browser: a newcomer signs up and, with an admin, gets the sample published."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Page, expect

from listings import demo
from listings.models import Attempt, Release, Run, Team
from listings.states import ReleaseState, RunState
from tests.aws_fixtures import Standin
from tests.registry_fixtures import Registry
from tests.stack import Stack, wait_until

PASSWORD = "correct horse battery staple"
SAMPLE = Path(settings.BASE_DIR) / "samples" / "decision-trees"
# Where the pictures go; empty for none.
PICTURES = os.environ.get("PICTURES_DIR", "")


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def sign_up(page: Page, name: str, email: str) -> None:
    page.goto("/account/signup/")
    page.get_by_label("Your name").fill(name)
    page.get_by_label(re.compile("e-?mail", re.I)).fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.goto("/outbox/")
    page.get_by_role("link", name="Open link").first.click()
    page.get_by_role("button", name="Confirm address").click()


def sign_in(page: Page, email: str) -> None:
    page.context.clear_cookies()
    page.goto("/account/login/")
    page.get_by_label(re.compile("e-?mail", re.I)).fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).not_to_have_url(re.compile("login"))


def connect_team(standin: Standin) -> None:
    """What an owner copies from the AWS console: the account, its roles and bucket."""
    team = Team.objects.get()
    role = f"arn:aws:iam::{standin.account}:role/slipway"
    team.aws_account_id, team.aws_region, team.s3_bucket = standin.account, "us-east-1", f"bucket-{standin.account}"
    team.aws_role_arn = team.validation_role_arn = team.access_role_arn = role
    team.ecr_prefix = "newcomers"
    team.save()
    bucket = {"account": standin.account, "region": "us-east-1", "name": team.s3_bucket}
    requests.post(f"{standin.url}/_standin/buckets", json=bucket, timeout=10).raise_for_status()


def make_listing_with_version(page: Page, source: Path) -> None:
    page.goto("/")
    page.get_by_role("link", name="New listing").first.click()
    page.get_by_label("Name").fill("Decision trees")
    page.get_by_label("Marketplace product id").fill("prod-endtoend12345")
    page.get_by_role("button", name=re.compile("listing", re.I)).click()
    page.get_by_role("link", name="New version").first.click()
    page.set_input_files("input[name=source_file]", str(source))
    expect(page.get_by_text("trees.tar.gz")).to_be_visible()
    page.get_by_role("button", name="Create and run").last.click()
    expect(page).to_have_url(re.compile(r"/versions/1\.0\.0/$"))


def watch_the_run(page: Page) -> None:
    """The log grows, and the run ends, without the page being loaded again."""
    page.evaluate("window.stillHere = true")
    log = page.locator("[data-log]")
    expect(log).to_contain_text("Step 1/", timeout=60_000)
    earlier = len(log.text_content() or "")
    picture(page, "version-live")
    expect(log).to_contain_text("Successfully built", timeout=180_000)
    expect(page.get_by_text("Passed", exact=True).first).to_be_visible(timeout=180_000)
    assert len(log.text_content() or "") > earlier
    assert page.evaluate("window.stillHere") is True
    expect(page.get_by_text(re.compile(r"\d+ checks pass"))).to_be_visible()
    picture(page, "version")


def ask_for_a_waiver(page: Page) -> None:
    page.reload()
    page.get_by_role("link", name="Request release").click()
    expect(page.get_by_role("button", name="Request release")).to_be_disabled()
    page.get_by_text("Ask for a waiver", exact=True).click()
    page.get_by_label("Why is it acceptable?").fill("Our base image is Debian 12.")
    page.get_by_role("button", name="Ask for a waiver of debian:12").click()
    expect(page.get_by_text("Waiver asked for").first).to_be_visible()
    picture(page, "request")


def grant_it(page: Page) -> None:
    page.goto("/review/")
    page.get_by_text("Decide", exact=True).first.click()
    page.get_by_label("Your reason").first.fill("Scannable and supported.")
    page.get_by_role("button", name="Grant waiver").click()


def approve_and_publish(page: Page) -> None:
    picture(page, "release")
    page.get_by_label("What did you look at?").fill("Checks and digest.")
    page.get_by_role("button", name="Approve and register").click()
    confirm(page)
    expect(page.get_by_text("Registered", exact=True).first).to_be_visible(timeout=90_000)
    page.get_by_role("button", name=re.compile("^Publish")).first.click()
    confirm(page)
    expect(page.get_by_text("Published", exact=True).first).to_be_visible(timeout=90_000)
    picture(page, "published")


def confirm(page: Page) -> None:
    """Say yes in the dialog that names the consequence."""
    page.locator("dialog[open] button[value=go]").click()


@pytest.fixture
def admin_of_the_site(make_user: Any) -> Any:
    admin = make_user("adam", is_staff=True)
    # Hashed as the running portal does; the tests' own hasher is another.
    admin.password = make_password(PASSWORD, hasher="pbkdf2_sha256")
    admin.save()
    return admin


@pytest.mark.timeout(420)
def test_a_newcomer_gets_the_sample_published(
    visitor: Page, stack: Stack, standin: Standin, registry: Registry, admin_of_the_site: Any, tmp_path: Path
) -> None:
    stack.portal()
    stack.control_worker()
    stack.beat()
    stack.engine_worker()
    page, source = visitor, tmp_path / "trees.tar.gz"
    source.write_bytes(demo.pack(SAMPLE))

    sign_up(page, "Nora Newcomer", "nora@example.com")
    sign_in(page, "nora@example.com")
    page.goto("/teams/new/")
    page.get_by_label("Team name").fill("Newcomers")
    page.get_by_role("button", name=re.compile("team", re.I)).last.click()
    expect(page.get_by_text("Newcomers").first).to_be_visible()
    connect_team(standin)
    make_listing_with_version(page, source)
    watch_the_run(page)
    ask_for_a_waiver(page)

    sign_in(page, admin_of_the_site.email)
    grant_it(page)
    sign_in(page, "nora@example.com")
    page.goto("/t/newcomers/listings/decision-trees/versions/1.0.0/release/")
    page.get_by_role("button", name="Request release").click()
    expect(page.get_by_text("In review").first).to_be_visible()
    address = page.url
    sign_in(page, admin_of_the_site.email)
    page.goto(address)
    approve_and_publish(page)

    published = Release.objects.filter(state=ReleaseState.PUBLISHED)
    release = wait_until("the release is published", published.first)
    run = Run.objects.get()
    assert run.state == RunState.PASSED
    pushed = Attempt.objects.get(step__run=run, step__name="push").facts["digest"]
    assert registry.manifest("newcomers/decision-trees", pushed, "*/*").status_code == 200
    assert release.resource_arn.startswith(f"arn:aws:sagemaker:us-east-1:{standin.account}:algorithm/")
    assert release.approved_by == admin_of_the_site
