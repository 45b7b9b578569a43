"""Listings."""

from __future__ import annotations

import re
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from listings import links
from listings.access import Permission, require
from listings.models import Kind, Listing, Team
from listings.problems import ProblemError
from listings.services import audit
from listings.services.teams import create_with_slug


@transaction.atomic
def create_listing(
    user: Any, team: Team, *, kind: Kind, name: str, summary: str = "", product_id: str = "", key: UUID | None = None
) -> Listing:
    """Make a listing; ``key`` is its id, so that a form that is sent twice makes one.

    Raises ProblemError LISTING-PRODUCT-ID for an id that is not a Catalog entity's.
    """
    require(user, Permission.DEVELOP, team)
    _check_product_id(product_id)
    values = {
        "kind": kind, "name": name.strip(), "summary": summary.strip(), "product_id": product_id.strip(),
        "created_by": user,
    }  # fmt: skip
    listing, new = create_with_slug(Listing, name, values, key=key, team=team)
    if new:
        audit.record(user, "listing.create", listing, listing=listing, url=links.listing(listing), kind=kind)
    return cast(Listing, listing)


@transaction.atomic
def update_listing(user: Any, listing: Listing, *, name: str, summary: str, product_id: str) -> None:
    require(user, Permission.DEVELOP, listing.team)
    _check_product_id(product_id)
    was = {"name": listing.name, "summary": listing.summary, "product_id": listing.product_id}
    listing.name, listing.summary, listing.product_id = name.strip(), summary.strip(), product_id.strip()
    listing.save(update_fields=["name", "summary", "product_id"])
    audit.record(user, "listing.update", listing, listing=listing, url=links.listing(listing), was=was)


@transaction.atomic
def archive_listing(user: Any, listing: Listing) -> None:
    """Hide a listing and refuse new versions; nothing is deleted."""
    require(user, Permission.RELEASE, listing.team)
    Listing.objects.filter(pk=listing.pk, archived_at__isnull=True).update(archived_at=timezone.now())
    listing.refresh_from_db()
    audit.record(user, "listing.archive", listing, listing=listing, url=links.listing(listing))


@transaction.atomic
def restore_listing(user: Any, listing: Listing) -> None:
    require(user, Permission.RELEASE, listing.team)
    Listing.objects.filter(pk=listing.pk).update(archived_at=None)
    listing.refresh_from_db()
    audit.record(user, "listing.restore", listing, listing=listing, url=links.listing(listing))


def _check_product_id(product_id: str) -> None:
    if product_id.strip() and not re.fullmatch(r"prod-[a-zA-Z0-9]{4,50}", product_id.strip()):
        raise ProblemError("LISTING-PRODUCT-ID", value=product_id)
