"""The audit history: one row per act, written in the act's own transaction."""

from __future__ import annotations

from typing import Any

from listings.models import AuditEvent, Listing, Release, Team


def record(
    actor: Any,
    action: str,
    subject: object,
    *,
    team: Team | None = None,
    listing: Listing | None = None,
    release: Release | None = None,
    url: str = "",
    **data: Any,
) -> None:
    """Write one event. ``actor`` None is Slipway itself; ``action`` is ``noun.verb``; ``data`` must be JSON."""
    if release is not None:
        listing = listing or release.version.listing
    if listing is not None:
        team = team or listing.team
    AuditEvent.objects.create(
        actor=actor,
        actor_label=str(actor) if actor is not None else "Slipway",
        action=action,
        subject=str(subject)[:200],
        url=url,
        team_id=team.pk if team else None,
        listing_id=listing.pk if listing else None,
        release_id=release.pk if release else None,
        data=data,
    )
