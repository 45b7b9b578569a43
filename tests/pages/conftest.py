from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.browser import browser

__all__ = ["browser"]


@pytest.fixture(autouse=True)
def own_cache(settings: Any) -> None:
    """Sign-in limits are counted in the cache: each test counts its own."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    from django.core.cache import cache

    cache.clear()


@pytest.fixture
def signed_in(client: Client, seller: Any) -> Client:
    client.force_login(seller)
    return client


def _is_fault(said: ConsoleMessage) -> bool:
    """The tests' server is no ASGI server: it has no live streams to follow."""
    return said.type in ("error", "warning") and "/live/" not in said.location.get("url", "")


@pytest.fixture
def open_window(browser: Browser, live_server: Any, client: Client) -> Iterator[Callable[..., Page]]:
    """Opens windows signed in as somebody; any script error or refused resource fails the test."""
    faults: list[str] = []
    contexts: list[BrowserContext] = []

    def open_(user: Any = None, *, width: int = 1280, theme: Literal["light", "dark"] = "light") -> Page:
        context = browser.new_context(
            base_url=live_server.url, viewport={"width": width, "height": 900}, color_scheme=theme
        )
        contexts.append(context)
        if user is not None:
            client.force_login(user)
            value = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": value, "url": live_server.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if _is_fault(said) else None)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [fault for fault in faults if "422" not in fault] == []
