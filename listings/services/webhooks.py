"""Webhooks in people's hands: making, changing, rotating and ending them. What comes in by them: ``deliveries``."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from listings import links, sealing
from listings.access import Permission, require
from listings.hooks import filters
from listings.models import Listing, Provider, Webhook
from listings.problems import ProblemError
from listings.services import audit

WEBHOOKS_AT_MOST = 20
#: How long the secret before the current one stays valid after a rotation.
ROTATION = timedelta(hours=24)
#: Providers that sign as Standard Webhooks say, whose secrets have a form of their own.
_STANDARD = frozenset({Provider.GENERIC, Provider.GITLAB})


@dataclass(frozen=True, slots=True)
class Wanted:
    """The patterns of a webhook, one a line each; see ``listings.hooks.filters``."""

    branches: Iterable[str] = ()
    tags: Iterable[str] = ()
    paths: Iterable[str] = ()


def _patterns(wanted: Wanted) -> dict[str, list[str]]:
    """Raises ProblemError HOOK-PATTERN or HOOK-NOTHING-WANTED."""
    found = {
        "branches": filters.parse(wanted.branches),
        "tags": filters.parse(wanted.tags),
        "paths": filters.parse(wanted.paths),
    }
    if not found["branches"] and not found["tags"]:
        raise ProblemError("HOOK-NOTHING-WANTED")
    return found


def new_secret(provider: str) -> str:
    """A secret with 256 bits of chance, as the provider's form takes it."""
    if provider in _STANDARD:
        return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    return secrets.token_urlsafe(32)


def secret_mark(webhook: Webhook) -> str:
    """Tells one secret of a webhook from the next, and nothing of either."""
    return hashlib.sha256(webhook.sealed.encode()).hexdigest()[:16]


def secrets_of(webhook: Webhook, now: datetime) -> list[str]:
    """What is valid ``now``, the current one first. Raises ProblemError SECRET-UNREADABLE."""
    found = [sealing.reveal(webhook.sealed, str(webhook.pk))]
    if webhook.previous_sealed and webhook.previous_until is not None and webhook.previous_until > now:
        found.append(sealing.reveal(webhook.previous_sealed, str(webhook.pk)))
    return found


@transaction.atomic
def create_webhook(
    user: Any, listing: Listing, provider: Provider, wanted: Wanted, *, key: UUID | None = None
) -> tuple[Webhook, str]:
    """Make a webhook. The secret is given back here and never again.

    ``key`` is the id that it gets: a form that is sent twice makes one, and gets no secret the second time.
    Raises ProblemError LISTING-ARCHIVED, HOOK-TOO-MANY, HOOK-PATTERN, HOOK-NOTHING-WANTED or HOOK-MADE.
    """
    require(user, Permission.RELEASE, listing.team)
    if key is not None and Webhook.objects.filter(pk=key).exists():
        raise ProblemError("HOOK-MADE")
    if listing.is_archived:
        raise ProblemError("LISTING-ARCHIVED", listing=listing.name)
    count = listing.webhooks.count()
    if count >= WEBHOOKS_AT_MOST:
        raise ProblemError("HOOK-TOO-MANY", listing=listing.name, count=count)
    webhook = Webhook(listing=listing, provider=provider, created_by=user, **_patterns(wanted))
    webhook.pk = key or webhook.pk
    secret = new_secret(provider)
    webhook.seal(secret)
    try:
        with transaction.atomic():
            webhook.save(force_insert=True)
    except IntegrityError:  # the same form, sent at the same time
        raise ProblemError("HOOK-MADE") from None
    _record(user, "webhook.create", webhook, **_patterns(wanted))
    return webhook, secret


@transaction.atomic
def update_webhook(user: Any, webhook: Webhook, wanted: Wanted) -> None:
    """Change what a webhook builds. Raises ProblemError HOOK-PATTERN or HOOK-NOTHING-WANTED."""
    require(user, Permission.RELEASE, webhook.listing.team)
    patterns = _patterns(wanted)
    for name, value in patterns.items():
        setattr(webhook, name, value)
    webhook.save(update_fields=[*patterns])
    _record(user, "webhook.update", webhook, **patterns)


@transaction.atomic
def set_enabled(user: Any, webhook: Webhook, enabled: bool) -> None:
    """A disabled webhook still answers and lists what comes, and builds nothing."""
    require(user, Permission.RELEASE, webhook.listing.team)
    if Webhook.objects.filter(pk=webhook.pk, enabled=not enabled).update(enabled=enabled):
        _record(user, "webhook.enable" if enabled else "webhook.disable", webhook)


@transaction.atomic
def rotate_secret(user: Any, webhook: Webhook, now: datetime | None = None, *, mark: str = "") -> str:
    """A new secret, given back here and never again. The old one stays valid for ``ROTATION``; one before it ends.

    ``mark`` is the ``secret_mark`` of the page that asks: where the secret is another by now, as when a form is sent
    twice, nothing is rotated. Raises ProblemError HOOK-ROTATED for that.
    """
    require(user, Permission.RELEASE, webhook.listing.team)
    webhook.refresh_from_db()
    if mark and mark != secret_mark(webhook):
        raise ProblemError("HOOK-ROTATED")
    was, secret = webhook.sealed, new_secret(webhook.provider)
    webhook.previous_sealed, webhook.previous_until = was, (now or timezone.now()) + ROTATION
    webhook.seal(secret)
    columns = {name: getattr(webhook, name) for name in ("sealed", "previous_sealed", "previous_until")}
    if not Webhook.objects.filter(pk=webhook.pk, sealed=was).update(**columns):
        raise ProblemError("HOOK-ROTATED")
    _record(user, "webhook.rotate", webhook, previous_until=webhook.previous_until.isoformat())
    return secret


@transaction.atomic
def end_previous_secret(user: Any, webhook: Webhook) -> None:
    """End the secret before the current one now, not at the end of its time."""
    require(user, Permission.RELEASE, webhook.listing.team)
    rows = Webhook.objects.filter(pk=webhook.pk).exclude(previous_sealed="")
    if rows.update(previous_sealed="", previous_until=None):
        _record(user, "webhook.end_previous", webhook)


def delete_webhook(user: Any, webhook: Webhook) -> None:
    """Remove a webhook with its deliveries and their bodies. Versions and runs that it started stay."""
    from listings.services import deliveries

    require(user, Permission.RELEASE, webhook.listing.team)
    with transaction.atomic():
        bodies = deliveries.bodies_of(webhook.deliveries.all())
        _record(user, "webhook.delete", webhook)
        webhook.delete()
    deliveries.drop_bodies(bodies)


def name_of(webhook: Webhook) -> str:
    return "Standard Webhook" if webhook.provider == Provider.GENERIC else f"{webhook.get_provider_display()} webhook"


def _record(user: Any, action: str, webhook: Webhook, **data: Any) -> None:
    url = links.listing(webhook.listing) if action == "webhook.delete" else links.webhook(webhook)
    audit.record(user, action, name_of(webhook), listing=webhook.listing, url=url, webhook=str(webhook.pk), **data)
