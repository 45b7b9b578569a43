"""Who may do what: the only module that answers.

A permission is asked of a team, or of the site. Views declare theirs with ``guarded``; services ask again
with ``require``, so that a page, a command and a task all meet the same rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse

from listings.models import AuditEvent, Membership, Release, Role, Team


class Permission(StrEnum):
    """Verbs on a team's things, then verbs on the site."""

    SEE = "see"
    DISCUSS = "discuss"
    DEVELOP = "develop"  # listings, uploads, versions, runs, asking for waivers
    RELEASE = "release"  # request and withdraw releases, archive listings
    MANAGE = "manage"  # members, credentials, AWS connection
    SIGNED_IN = "signed_in"
    ADMIN = "admin"  # review, waive, publish, policies, audit
    PUBLIC = "public"


_RANK = {Role.VIEWER: 0, Role.DEVELOPER: 1, Role.RELEASER: 2, Role.OWNER: 3}
_NEEDS: dict[Permission, Role] = {
    Permission.SEE: Role.VIEWER,
    Permission.DISCUSS: Role.VIEWER,
    Permission.DEVELOP: Role.DEVELOPER,
    Permission.RELEASE: Role.RELEASER,
    Permission.MANAGE: Role.OWNER,
}


def rank(role: Role) -> int:
    """Where a role stands among the others: each may do what those below may."""
    return _RANK[role]


#: What an admin may do in a team without being its member.
_ADMIN_IN_TEAM = frozenset({Permission.SEE, Permission.DISCUSS})


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` is a sentence for the user when ``allowed`` is False."""

    allowed: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.allowed


ALLOWED = Decision(True)


def role_of(user: Any, team: Team) -> Role | None:
    """The user's role in the team, or None."""
    if not user.is_authenticated:
        return None
    role = Membership.objects.filter(team=team, user=user).values_list("role", flat=True).first()
    return Role(role) if role else None


def can(user: Any, permission: Permission, team: Team | None = None) -> Decision:
    """May ``user`` do this, in ``team`` for the verbs on a team's things?"""
    if permission is Permission.PUBLIC:
        return ALLOWED
    if not user.is_authenticated or not user.is_active:
        return Decision(False, "Sign in first.")
    if permission is Permission.SIGNED_IN:
        return ALLOWED
    if permission is Permission.ADMIN:
        return ALLOWED if user.is_staff else Decision(False, "Only admins may do this.")
    if team is None:
        raise ValueError(f"{permission} is asked of a team")
    if user.is_staff and permission in _ADMIN_IN_TEAM:
        return ALLOWED
    role = role_of(user, team)
    if role is None:
        return Decision(False, "You are not a member of this team.")
    needed = _NEEDS[permission]
    if _RANK[role] >= _RANK[needed]:
        return ALLOWED
    return Decision(False, f"This needs the role {needed.label.lower()}; yours is {role.label.lower()}.")


def can_decide(user: Any, release: Release) -> Decision:
    """Four eyes: an admin who neither asked for the release nor wrote the version may decide on it."""
    admin = can(user, Permission.ADMIN)
    if not admin:
        return admin
    if user.pk == release.requested_by_id or _asked(user, release):
        return Decision(False, "You asked for this release; another admin must decide.")
    if user.pk == release.version.author_id:
        return Decision(False, "You made this version; another admin must decide.")
    return ALLOWED


def _asked(user: Any, release: Release) -> bool:
    """Whether the user asked for this release in any round, not just the latest."""
    acts = ("release.request", "release.resubmit")
    return AuditEvent.objects.filter(release_id=release.pk, actor=user, action__in=acts).exists()


def require(user: Any, permission: Permission, team: Team | None = None) -> None:
    """Raises PermissionDenied with the reason. ``user`` None is the system itself and may do anything."""
    if user is None:
        return
    decision = can(user, permission, team)
    if not decision:
        raise PermissionDenied(decision.reason)


def visible_teams(user: Any) -> QuerySet[Team]:
    """The teams whose things the user may see."""
    if not user.is_authenticated:
        return Team.objects.none()
    if user.is_staff:
        return Team.objects.all()
    return Team.objects.filter(memberships__user=user)


def admins() -> QuerySet[Any]:
    from django.contrib.auth import get_user_model

    return get_user_model().objects.filter(is_staff=True, is_active=True)


View = Callable[..., HttpResponse]


def guarded(permission: Permission) -> Callable[[View], View]:
    """Declare a view's permission. A view with a ``team`` slug in its URL gets the Team instead of the slug.

    A team that the user may not see does not exist for them (404); a verb they may not do is refused (403).
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            team = None
            if "team" in kwargs:
                team = visible_teams(request.user).filter(slug=kwargs["team"]).first()
                if team is None:
                    raise Http404("No such team.")
                kwargs["team"] = team
            decision = can(request.user, permission, team)
            if not decision:
                raise PermissionDenied(decision.reason)
            return view(request, *args, **kwargs)

        guard = wrapper if permission is Permission.PUBLIC else login_required(wrapper)
        guard.permission = permission  # type: ignore[attr-defined]
        return guard

    return decorate
