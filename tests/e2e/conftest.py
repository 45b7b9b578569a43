"""Fixtures of the end-to-end tests: a running Slipway and a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.aws_fixtures import standin, standin_server
from tests.engine.conftest import engine
from tests.registry_fixtures import registry
from tests.stack import data_dir, stack

__all__ = ["data_dir", "engine", "registry", "stack", "standin", "standin_server"]

# Playwright's loop runs in this thread; Django would refuse the database beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM_EXECUTABLE", "/usr/bin/chromium")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def visitor(browser: Browser, stack: Any) -> Iterator[Any]:
    """A browser window that fails the test on any script error or refused resource."""
    faults: list[str] = []
    context = browser.new_context(base_url=stack.url, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert not [fault for fault in faults if "422" not in fault]
