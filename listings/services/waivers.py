"""Waivers and policies: the reasoned exceptions, and the rules they are exceptions to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.urls import reverse
from django.utils import timezone

from listings.access import Permission, admins, require
from listings.models import Policy, Version, Waiver
from listings.policy_defaults import validate_policy
from listings.problems import ProblemError
from listings.services import audit, notices

WAIVABLE = ("GATE-OS", "GATE-FINDING", "GATE-OUTGOING")


@transaction.atomic
def ask(user: Any, version: Version, *, code: str, subject: str, reason: str) -> Waiver:
    """Ask the admins to waive one failing rule for a version; asking twice is asking once.

    Raises ProblemError WAIVER-REASON or WAIVER-RULE.
    """
    team = version.listing.team
    require(user, Permission.DEVELOP, team)
    reason = _reason(reason)
    if code not in WAIVABLE or not subject or len(subject) > 200:
        raise ProblemError("WAIVER-RULE", rule=code)
    asked = version.waivers.filter(code=code, subject=subject, granted_at=None, refused_at=None).first()
    if asked is not None:
        return asked
    waiver = Waiver.objects.create(
        team=team, version=version, code=code, subject=subject, reason=reason, requested_by=user
    )
    audit.record(user, "waiver.ask", f"{code} {subject}", listing=version.listing, reason=reason)
    notices.notify(
        admins(), "waiver.asked", f"{team} asks to waive {subject} for {version}", url=reverse("review"), body=reason
    )
    return waiver


@transaction.atomic
def grant(user: Any, waiver: Waiver, *, reason: str, expires_at: datetime, whole_team: bool = False) -> None:
    """Grant a waiver until ``expires_at`` (aware). Its asker cannot grant it. Raises ProblemError."""
    require(user, Permission.ADMIN)
    reason = _reason(reason)
    if user is not None and user.pk == waiver.requested_by_id:
        raise ProblemError("WAIVER-OWN")
    if expires_at <= timezone.now():
        raise ProblemError("WAIVER-EXPIRY", expires=expires_at.isoformat())
    rows = Waiver.objects.filter(pk=waiver.pk, granted_at__isnull=True, refused_at__isnull=True)
    fields: dict[str, Any] = {"granted_at": timezone.now(), "granted_by": user, "grant_reason": reason}
    if not rows.update(expires_at=expires_at, **fields, **({"version": None} if whole_team else {})):
        raise ProblemError("WAIVER-DECIDED")
    _tell(user, waiver, "granted", reason)


@transaction.atomic
def refuse(user: Any, waiver: Waiver, *, reason: str) -> None:
    require(user, Permission.ADMIN)
    reason = _reason(reason)
    rows = Waiver.objects.filter(pk=waiver.pk, granted_at__isnull=True, refused_at__isnull=True)
    if not rows.update(refused_at=timezone.now(), granted_by=user, grant_reason=reason):
        raise ProblemError("WAIVER-DECIDED")
    _tell(user, waiver, "refused", reason)


@transaction.atomic
def revoke(user: Any, waiver: Waiver, *, reason: str) -> None:
    """End a granted waiver now."""
    require(user, Permission.ADMIN)
    reason = _reason(reason)
    rows = Waiver.objects.filter(pk=waiver.pk, granted_at__isnull=False, revoked_at__isnull=True)
    if not rows.update(revoked_at=timezone.now()):
        raise ProblemError("WAIVER-DECIDED")
    _tell(user, waiver, "revoked", reason)


def _reason(reason: str) -> str:
    if not reason.strip():
        raise ProblemError("WAIVER-REASON")
    return reason.strip()


def _tell(user: Any, waiver: Waiver, verb: str, reason: str) -> None:
    waiver.refresh_from_db()
    audit.record(user, f"waiver.{verb}", f"{waiver.code} {waiver.subject}", team=waiver.team, reason=reason)
    title = f"The waiver of {waiver.subject} was {verb}"
    notices.notify(
        [waiver.requested_by], f"waiver.{verb}", title, url=reverse("waivers", args=[waiver.team.slug]), body=reason
    )


@transaction.atomic
def amend_policy(user: Any, body: dict[str, Any], reason: str) -> Policy:
    """Put a new policy in force. Raises ProblemError POLICY-INVALID or WAIVER-REASON."""
    require(user, Permission.ADMIN)
    reason = _reason(reason)
    errors = validate_policy(body)
    if errors:
        raise ProblemError("POLICY-INVALID", errors="; ".join(errors))
    number = (Policy.objects.aggregate(last=Max("number"))["last"] or 0) + 1
    try:
        with transaction.atomic():
            policy = Policy.objects.create(number=number, body=body, reason=reason, author=user)
    except IntegrityError:
        raise ProblemError("POLICY-RACE") from None
    audit.record(user, "policy.amend", policy, reason=reason)
    return policy
