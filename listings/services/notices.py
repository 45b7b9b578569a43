"""Telling people: a notice in the bell menu and a mail, the mail sent after commit."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone

from listings.access import Permission, can
from listings.models import Membership, Notice, Role, Team

logger = logging.getLogger(__name__)


def notify(users: Iterable[Any], kind: str, title: str, *, url: str, body: str = "") -> None:
    """One notice each (None and duplicates skipped); ``url`` is a path on this site."""
    for user in {user.pk: user for user in users if user is not None and user.is_active}.values():
        # One line: a mail's subject can hold no other.
        line = " ".join(title.split())[:200]
        notice = Notice.objects.create(user=user, kind=kind, title=line, body=body, url=url)
        transaction.on_commit(lambda notice=notice: mail(notice), robust=True)  # type: ignore[misc]


def mail(notice: Notice) -> None:
    """Send one notice by mail. A mail server that is down costs the mail, never the act."""
    link = settings.SLIPWAY.public_url.rstrip("/") + notice.url
    text = "\n\n".join(part for part in (notice.body, link) if part)
    try:
        send_mail(f"Slipway: {notice.title}", text, settings.DEFAULT_FROM_EMAIL, [notice.user.email])
    except OSError:
        logger.exception("mail for notice %s was not sent", notice.pk)
        return
    Notice.objects.filter(pk=notice.pk).update(mailed_at=timezone.now())


def still_there(team: Team, people: Iterable[Any]) -> list[Any]:
    """Those of ``people`` who may see the team still: who left hears nothing more of it."""
    return [person for person in people if person is not None and can(person, Permission.SEE, team)]


def members(team: Team, *roles: Role) -> list[Any]:
    """The team's members with any of ``roles`` (all of them if none is given)."""
    rows = Membership.objects.filter(team=team).select_related("user")
    return [row.user for row in (rows.filter(role__in=roles) if roles else rows)]


def mark_read(user: Any, notice_id: Any | None = None) -> None:
    """Mark one notice of the user read, or all."""
    rows = Notice.objects.filter(user=user, read_at__isnull=True)
    (rows.filter(pk=notice_id) if notice_id else rows).update(read_at=timezone.now())
