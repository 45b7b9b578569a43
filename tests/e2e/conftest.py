"""Fixtures of the end-to-end tests: a running Slipway and a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.aws_fixtures import standin, standin_server
from tests.browser import browser
from tests.engine.conftest import engine
from tests.registry_fixtures import registry
from tests.stack import data_dir, stack, stack_environment

__all__ = ["browser", "data_dir", "engine", "registry", "stack", "stack_environment", "standin", "standin_server"]


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
