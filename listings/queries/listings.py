"""Lists of listings, and one listing with its versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import semver
from django.core.paginator import Paginator
from django.db.models import Prefetch

from listings.access import Permission, can
from listings.models import AuditEvent, Listing, Release, Run, Team, Version
from listings.states import ReleaseState

_RUNS_SHOWN = 20
_VERSIONS_PAGE = 25


@dataclass(frozen=True, slots=True)
class ListingRow:
    """A listing with what stands out: the published version, the newest, and its last runs (oldest first)."""

    listing: Listing
    released: Version | None
    newest: Version | None
    newest_run: Run | None
    runs: tuple[Run, ...]


def rows_for(listings: list[Listing]) -> list[ListingRow]:
    """Rows for these listings, in four queries whatever their number."""
    ids = [listing.pk for listing in listings]
    newest: dict[Any, Version] = {}
    for version in Version.objects.filter(listing__in=ids).order_by("-number_key"):
        newest.setdefault(version.listing_id, version)
    released = {
        release.version.listing_id: release.version
        for release in Release.objects.filter(version__listing__in=ids, state=ReleaseState.PUBLISHED).select_related(
            "version"
        )
    }
    runs: dict[Any, list[Run]] = {}
    for run in Run.objects.filter(version__listing__in=ids).select_related("version").order_by("-created_at")[:500]:
        runs.setdefault(run.version.listing_id, []).append(run)
    return [_row(item, newest.get(item.pk), released.get(item.pk), runs.get(item.pk, [])) for item in listings]


def _row(listing: Listing, newest: Version | None, released: Version | None, runs: list[Run]) -> ListingRow:
    own = [run for run in runs if newest is not None and run.version_id == newest.pk]
    return ListingRow(listing, released, newest, own[0] if own else None, tuple(reversed(runs[:_RUNS_SHOWN])))


def listings_of(user: Any, team: Team, *, archived: bool = False) -> dict[str, Any]:
    rows = Listing.objects.filter(team=team, archived_at__isnull=not archived).select_related("team")
    return {
        "team": team, "archived": archived, "rows": rows_for(list(rows)),
        "archived_count": Listing.objects.filter(team=team, archived_at__isnull=False).count(),
        "may_develop": can(user, Permission.DEVELOP, team),
    }  # fmt: skip


def listing_page(user: Any, listing: Listing, page: Any = 1) -> dict[str, Any]:
    runs = Prefetch("runs", Run.objects.order_by("-number"), to_attr="shown_runs")
    releases = Prefetch("releases", Release.objects.order_by("-created_at"), to_attr="shown_releases")
    versions = listing.versions.select_related("author").prefetch_related(runs, releases)
    return {
        "team": listing.team, "listing": listing,
        "versions": Paginator(versions, _VERSIONS_PAGE).get_page(page),
        "may_develop": can(user, Permission.DEVELOP, listing.team),
        "may_release": can(user, Permission.RELEASE, listing.team),
        "events": AuditEvent.objects.filter(listing_id=listing.pk)[:30],
    }  # fmt: skip


def next_number(listing: Listing) -> str:
    """A suggestion: the newest version's next patch, or 1.0.0."""
    newest = listing.versions.order_by("-number_key").values_list("number", flat=True).first()
    if newest is None:
        return "1.0.0"
    parsed = semver.Version.parse(newest)
    return str(parsed.finalize_version() if parsed.prerelease else parsed.bump_patch())
