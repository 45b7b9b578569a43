from __future__ import annotations

from typing import Any

import pytest
from django.test import Client


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
