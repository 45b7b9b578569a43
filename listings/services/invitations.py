"""Invitations: sent by mail, accepted by who can sign in with the address, once.

Inviting never looks for an account: it tells nobody whether an address has one. The link alone opens nothing either,
as an owner can copy it: who accepts must have confirmed the address that was invited.
"""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from listings.access import Permission, require
from listings.models import AuditEvent, Invitation, Membership, Role, Team
from listings.problems import ProblemError
from listings.services import audit, notices, teams

logger = logging.getLogger(__name__)

#: Mails of one team, or of one person for whatever team, within a day; and the time between two to one address.
PER_DAY, PAUSE = 50, timedelta(minutes=5)
_signer = signing.Signer(salt="slipway.invitation")
_SENT = ("invitation.send", "invitation.resend")
_OPEN = Q(accepted_at=None, revoked_at=None)


def token_of(invitation: Invitation) -> str:
    return _signer.sign_object([invitation.pk.hex, invitation.nonce])


def link_to(invitation: Invitation) -> str:
    """The whole address, by the installation's public name."""
    return str(settings.SLIPWAY.public_url).rstrip("/") + reverse("invitation", args=[token_of(invitation)])


def find(token: str) -> Invitation:
    """The invitation that a link names, whatever became of it. Raises ProblemError INVITATION-UNKNOWN or -REPLACED."""
    try:
        key, nonce = _signer.unsign_object(token)
        found = Invitation.objects.filter(pk=UUID(key)).select_related("team", "invited_by").first()
    except (signing.BadSignature, ValueError, TypeError):
        found = None
    if found is None:
        raise ProblemError("INVITATION-UNKNOWN")
    if not secrets.compare_digest(found.nonce, str(nonce)):
        raise ProblemError("INVITATION-REPLACED", team=found.team.name)
    return found


def require_open(invitation: Invitation) -> None:
    """Raises ProblemError INVITATION-USED, -REVOKED or -EXPIRED."""
    team = invitation.team.name
    if invitation.accepted_at is not None:
        raise ProblemError("INVITATION-USED", team=team)
    if invitation.revoked_at is not None:
        raise ProblemError("INVITATION-REVOKED", team=team)
    if not invitation.is_open:
        raise ProblemError("INVITATION-EXPIRED", team=team, expires=f"{invitation.expires_at:%Y-%m-%d %H:%M} UTC")


def is_for(user: Any, invitation: Invitation) -> bool:
    """Whether the user has confirmed the invited address."""
    # Not by the database: PostgreSQL's upper case of “ı” is that of “i”, and anybody may have a domain with it.
    confirmed = user.emailaddress_set.filter(verified=True).values_list("email", flat=True)
    return invitation.email in {address.lower() for address in confirmed}


def waiting_for(user: Any) -> Invitation | None:
    """The latest open invitation to a confirmed address of the user."""
    confirmed = user.emailaddress_set.filter(verified=True).values_list("email", flat=True)
    addresses = [address.lower() for address in confirmed]
    return Invitation.objects.filter(_OPEN, email__in=addresses, expires_at__gt=timezone.now()).first()


@transaction.atomic
def invite(user: Any, team: Team, email: str, role: Role) -> Invitation:
    """Invite an address and mail it the link. One that is too old is made anew.

    Raises ProblemError MEMBER-ALREADY (a member's address is no secret to an owner), INVITATION-OPEN or
    INVITATION-TOO-MANY.
    """
    require(user, Permission.MANAGE, team)
    email = email.strip().lower()
    _lock(team)
    if Membership.objects.filter(team=team, user__email__iexact=email).exists():
        raise ProblemError("MEMBER-ALREADY", email=email)
    now = timezone.now()
    former = Invitation.objects.filter(_OPEN, team=team, email=email).first()
    if former is not None and former.expires_at > now:
        raise ProblemError("INVITATION-OPEN", email=email)
    _require_allowance(user, team)
    fresh = {
        "role": role, "nonce": secrets.token_hex(16), "invited_by": user, "mailed_at": None,
        "expires_at": now + timedelta(days=settings.SLIPWAY.invitation_days),
    }  # fmt: skip
    try:
        with transaction.atomic():
            invitation, _ = Invitation.objects.update_or_create(
                team=team, email=email, accepted_at=None, revoked_at=None, defaults=fresh
            )
    except IntegrityError:
        raise ProblemError("INVITATION-OPEN", email=email) from None
    audit.record(user, "invitation.send", email, team=team, url=_page(team), role=role)
    _mail_later(invitation)
    return invitation


@transaction.atomic
def resend(user: Any, invitation: Invitation) -> None:
    """Mail a new link, good for as long as a new invitation; earlier ones work no more.

    Raises ProblemError INVITATION-CLOSED, INVITATION-JUST-SENT or INVITATION-TOO-MANY.
    """
    require(user, Permission.MANAGE, invitation.team)
    _lock(invitation.team)
    invitation.refresh_from_db()
    now = timezone.now()
    if invitation.mailed_at is not None and now - invitation.mailed_at < PAUSE:
        minutes = int(PAUSE.total_seconds() // 60)
        raise ProblemError("INVITATION-JUST-SENT", email=invitation.email, minutes=minutes)
    _require_allowance(user, invitation.team)
    changed = Invitation.objects.filter(_OPEN, pk=invitation.pk).update(
        nonce=secrets.token_hex(16), mailed_at=None, expires_at=now + timedelta(days=settings.SLIPWAY.invitation_days)
    )
    if not changed:
        raise ProblemError("INVITATION-CLOSED")
    invitation.refresh_from_db()
    audit.record(user, "invitation.resend", invitation.email, team=invitation.team, url=_page(invitation.team))
    _mail_later(invitation)


@transaction.atomic
def revoke(user: Any, invitation: Invitation) -> None:
    """Take it back. Raises ProblemError INVITATION-CLOSED for one that was accepted or revoked."""
    require(user, Permission.MANAGE, invitation.team)
    if not Invitation.objects.filter(_OPEN, pk=invitation.pk).update(revoked_at=timezone.now()):
        raise ProblemError("INVITATION-CLOSED")
    audit.record(user, "invitation.revoke", invitation.email, team=invitation.team, url=_page(invitation.team))


@transaction.atomic
def accept(user: Any, token: str) -> Membership:
    """Become a member; asked twice, once. A member's role may rise by it, never fall.

    Raises ProblemError INVITATION-OTHER-ADDRESS, and those of ``find`` and ``require_open``.
    """
    require(user, Permission.SIGNED_IN)
    invitation = find(token)
    if not is_for(user, invitation):
        raise ProblemError("INVITATION-OTHER-ADDRESS", email=invitation.email)
    now = timezone.now()
    won = Invitation.objects.filter(_OPEN, pk=invitation.pk, nonce=invitation.nonce, expires_at__gt=now).update(
        accepted_at=now, accepted_by=user
    )
    if not won:
        return _accepted_before(user, invitation)
    membership = teams.admit(invitation.team, user, Role(invitation.role))
    team, name = invitation.team, Role(invitation.role).label.lower()
    audit.record(user, "invitation.accept", team, team=team, url=_page(team), role=membership.role)
    told = notices.still_there(team, [invitation.invited_by])
    notices.notify(told, "invitation.accept", f"{user} joined {team} as {name}", url=_page(team))
    return membership


def _accepted_before(user: Any, invitation: Invitation) -> Membership:
    """The membership that the first of two clicks made, or the reason why there is none."""
    invitation.refresh_from_db()
    membership = Membership.objects.filter(team=invitation.team, user=user).first()
    if membership is not None and invitation.accepted_by_id == user.pk:
        return membership
    require_open(invitation)
    raise ProblemError("INVITATION-REPLACED", team=invitation.team.name)


def _page(team: Team) -> str:
    return reverse("team", args=[team.slug])


def _lock(team: Team) -> None:
    """Until the transaction ends, nobody else counts this team's mails."""
    Team.objects.filter(pk=team.pk).update(slug=F("slug"))


def _require_allowance(user: Any, team: Team) -> None:
    since = timezone.now() - timedelta(days=1)
    mails = AuditEvent.objects.filter(action__in=_SENT, created_at__gt=since)
    if mails.filter(Q(team_id=team.pk) | Q(actor=user, actor__isnull=False)).count() >= PER_DAY:
        raise ProblemError("INVITATION-TOO-MANY", limit=PER_DAY)


def _mail_later(invitation: Invitation) -> None:
    transaction.on_commit(lambda: _mail(invitation), robust=True)


def _mail(invitation: Invitation) -> None:
    """A mail server that is down costs the mail, never the invitation: its page shows the link."""
    team, role = " ".join(invitation.team.name.split()), Role(invitation.role).label.lower()
    inviter = " ".join(str(invitation.invited_by or "An owner").split())
    text = "\n\n".join((
        f"{inviter} invites you to the team {team} on Slipway, as {role}.",
        f"To accept, open this link and sign in, or create an account, with the address {invitation.email}:",
        link_to(invitation),
        f"It works until {invitation.expires_at:%Y-%m-%d %H:%M} UTC. If you expected no invitation, do nothing.",
    ))  # fmt: skip
    try:
        send_mail(f"Slipway: invitation to {team}", text, settings.DEFAULT_FROM_EMAIL, [invitation.email])
    except OSError:
        logger.exception("the mail for invitation %s was not sent", invitation.pk)
        return
    Invitation.objects.filter(pk=invitation.pk).update(mailed_at=timezone.now())
