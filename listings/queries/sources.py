"""A listing's standing source."""

from __future__ import annotations

from typing import Any

from django.urls import NoReverseMatch, reverse

from listings.access import Permission, can
from listings.models import Credential, Listing
from listings.services import standing_sources


def source_page(user: Any, listing: Listing) -> dict[str, Any]:
    team = listing.team
    return {
        "team": team,
        "listing": listing,
        "source": standing_sources.of(listing),
        "may_develop": can(user, Permission.DEVELOP, team),
        "may_manage": can(user, Permission.MANAGE, team),
        "has_credentials": Credential.objects.filter(team=team).exists(),
        "webhooks_url": webhooks_url(listing),
    }


def webhooks_url(listing: Listing) -> str:
    """The page of the listing's webhooks."""
    try:
        return reverse("webhooks", args=[listing.team.slug, listing.slug])
    except NoReverseMatch:
        return ""
