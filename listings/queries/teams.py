"""A team's page and its waivers."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from listings.access import Permission, can
from listings.models import AuditEvent, Role, Team, Waiver


def team_page(user: Any, team: Team) -> dict[str, Any]:
    return {
        "team": team,
        "members": team.memberships.select_related("user").order_by("user__email"),
        "roles": Role.choices,
        "may_manage": can(user, Permission.MANAGE, team),
        "events": AuditEvent.objects.filter(team_id=team.pk)[:30],
    }


def waivers_of(team: Team) -> list[tuple[Waiver, str]]:
    """The team's waivers, newest first, each with its state now."""
    now = timezone.now()
    rows = Waiver.objects.filter(team=team).select_related("version__listing", "requested_by", "granted_by")
    return [(waiver, waiver.state(now)) for waiver in rows]
