"""Pages with a thousand versions beside pages with ten: time and queries."""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from listings.models import Kind, Listing, Run, Team
from listings.services import listings as listing_service
from listings.services import versions
from listings.states import RunState
from tests import flow
from tests.bench.conftest import Say, upload_version

FEW, MANY, TIMES = 10, 1000, 5


def _fill(seller: Any, listing: Listing, count: int) -> None:
    """One version that went through every step, and others like it."""
    first = upload_version(seller, listing, b"a build context")
    flow.run_through(versions.submit_version(seller, first))
    for number in range(1, count):
        version = versions.create_version(seller, listing, number=f"1.{number}.0", source=first.source)
        version.state = first.state
        version.save()
        Run.objects.create(version=version, number=1, state=RunState.PASSED, started_by=seller)


def _pages(team: Team, listing: Listing) -> dict[str, str]:
    return {
        "home": reverse("home"),
        "listings": reverse("listings", args=[team.slug]),
        "listing": reverse("listing", args=[team.slug, listing.slug]),
        "version": reverse("version", args=[team.slug, listing.slug, "1.0.0"]),
        "new version": reverse("version_new", args=[team.slug, listing.slug]),
        "search": reverse("search") + "?q=1.5",
    }


def _measure(client: Client, url: str) -> tuple[float, int]:
    """Median milliseconds and the number of queries."""
    assert client.get(url).status_code == 200
    with CaptureQueriesContext(connection) as queries:
        client.get(url)
    count = len(queries.captured_queries)
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        client.get(url)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times), count


@pytest.mark.timeout(900)
def bench_pages(client: Client, seller: Any, team: Team, say: Say) -> None:
    small = listing_service.create_listing(seller, team, kind=Kind.ALGORITHM, name="Few versions", product_id="")
    _fill(seller, small, FEW)
    client.force_login(seller)
    few = {name: _measure(client, url) for name, url in _pages(team, small).items()}
    large = listing_service.create_listing(seller, team, kind=Kind.ALGORITHM, name="Many versions", product_id="")
    _fill(seller, large, MANY)
    say(f"\nPages with {FEW} and with {MANY} versions (median of {TIMES})")
    say("  page                ms      queries         ms      queries      ratio")
    for name, url in _pages(team, large).items():
        (ms, queries), (more_ms, more_queries) = few[name], _measure(client, url)
        say(f"  {name:<14} {ms:7.1f} {queries:10d} {more_ms:12.1f} {more_queries:10d} {more_ms / ms:12.2f}")
        assert more_queries <= queries + 3, f"{name} asks the database more often with more versions"
