"""A team's page and its waivers."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from listings.access import Permission, can
from listings.models import AuditEvent, Invitation, Role, Team, Waiver
from listings.services import invitations

#: What changes who is in a team, and as what.
_WHO = (
    "member.add", "member.role", "member.remove", "member.leave", "invitation.send", "invitation.resend",
    "invitation.revoke", "invitation.accept",
)  # fmt: skip


def team_page(user: Any, team: Team) -> dict[str, Any]:
    manages = can(user, Permission.MANAGE, team)
    return {
        "team": team,
        "members": team.memberships.select_related("user").order_by("user__email"),
        "roles": Role.choices,
        "may_manage": manages,
        "invitations": _invitations(team) if manages else [],
        "changes": AuditEvent.objects.filter(team_id=team.pk, action__in=_WHO)[:8],
        "events": AuditEvent.objects.filter(team_id=team.pk)[:30],
    }


def _invitations(team: Team) -> list[dict[str, Any]]:
    """Those that nobody took yet, the too old among them, each with its link."""
    rows = Invitation.objects.filter(team=team, accepted_at=None, revoked_at=None).select_related("invited_by")
    return [{"row": row, "link": invitations.link_to(row)} for row in rows]


def waivers_of(team: Team) -> list[tuple[Waiver, str]]:
    """The team's waivers, newest first, each with its state now."""
    now = timezone.now()
    rows = Waiver.objects.filter(team=team).select_related("version__listing", "requested_by", "granted_by")
    return [(waiver, waiver.state(now)) for waiver in rows]
