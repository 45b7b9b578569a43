"""Webhooks and their deliveries as pages show them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, Subquery
from django.urls import reverse
from django.utils import timezone

from listings.access import Permission, can
from listings.models import Decision, Delivery, Listing, ListingSource, Provider, Run, SourceKind, Webhook
from listings.services import deliveries, webhooks

_PAGE = 25
#: More of a body than this is not shown, in characters.
_BODY_SHOWN = 200_000


@dataclass(frozen=True, slots=True)
class ShownDelivery:
    """A delivery with why it was decided so, in a sentence."""

    delivery: Delivery
    reason: str


def index_url(listing: Listing) -> str:
    return reverse("webhooks", args=[listing.team.slug, listing.slug])


def source_part(listing: Listing) -> dict[str, Any]:
    return {"source": ListingSource.objects.filter(listing=listing).first()}


def webhooks_of(user: Any, listing: Listing) -> dict[str, Any]:
    latest = Delivery.objects.filter(webhook=OuterRef("pk")).order_by("-created_at")
    rows = listing.webhooks.annotate(
        count=Count("deliveries"),
        last_at=Subquery(latest.values("created_at")[:1]),
        last_decision=Subquery(latest.values("decision")[:1]),
    )
    return {
        "team": listing.team, "listing": listing, "webhooks": list(rows),
        "may_release": can(user, Permission.RELEASE, listing.team), **source_part(listing),
    }  # fmt: skip


def suggested(listing: Listing, provider: str = "") -> dict[str, str]:
    """What a new webhook's form starts with: the listing's own branch, tags that are versions."""
    source = source_part(listing)["source"]
    is_image = source is not None and source.kind == SourceKind.IMAGE
    if provider not in Provider.values:
        provider = _likely(source)
    branch = "latest" if is_image else (source.git_ref if source is not None else "") or "main"
    return {"provider": provider, "branches": branch, "tags": "v*\n[0-9]*", "paths": ""}


def _likely(source: ListingSource | None) -> Provider:
    """Who will post, guessed from where the source lies."""
    if source is None:
        return Provider.GITHUB
    if source.kind == SourceKind.IMAGE:
        return Provider.REGISTRY
    for provider in (Provider.GITLAB, Provider.BITBUCKET, Provider.GITEA):
        if provider.value in source.git_url:
            return provider
    return Provider.GITEA if "codeberg" in source.git_url else Provider.GITHUB


def as_typed(webhook: Webhook) -> dict[str, str]:
    lists = {name: "\n".join(getattr(webhook, name)) for name in ("branches", "tags", "paths")}
    return {"provider": webhook.provider, **lists}


def set_up_part(webhook: Webhook) -> dict[str, Any]:
    """What somebody needs who sets it up at the sender. ``secret`` is shown only where a view adds it."""
    listing = webhook.listing
    return {
        "team": listing.team, "listing": listing, "webhook": webhook, "secret": "",
        "address": settings.SLIPWAY.public_url.rstrip("/") + reverse("hook", args=[webhook.pk]),
        **source_part(listing),
    }  # fmt: skip


def webhook_page(user: Any, webhook: Webhook, decision: str, page: Any) -> dict[str, Any]:
    listing = webhook.listing
    rows = webhook.deliveries.select_related(
        "version__listing__team", "run__version__listing__team", "replayed_by", "webhook__listing__team"
    )
    counts = dict(webhook.deliveries.order_by().values_list("decision").annotate(Count("pk")))
    if decision in Decision.values:
        rows = rows.filter(decision=decision)
    found = Paginator(rows, _PAGE).get_page(page)
    until = webhook.previous_until
    return set_up_part(webhook) | {
        "page": found, "rows": [ShownDelivery(row, deliveries.reason(row)) for row in found],
        "chosen": decision if decision in Decision.values else "",
        "choices": [(value, label, counts[value]) for value, label in Decision.choices if counts.get(value)],
        "total": sum(counts.values()), "verified_kept": deliveries.VERIFIED_KEPT,
        "refused_kept": deliveries.REFUSED_KEPT,
        "secret_mark": webhooks.secret_mark(webhook),
        "previous_until": until if until is not None and until > timezone.now() else None,
        "may_release": can(user, Permission.RELEASE, listing.team),
        "may_develop": can(user, Permission.DEVELOP, listing.team),
    }  # fmt: skip


def delivery_page(user: Any, delivery: Delivery) -> dict[str, Any]:
    listing = delivery.webhook.listing
    kept = deliveries.stored_body(delivery)
    body = json.dumps(kept[0], indent=2, ensure_ascii=False) if kept is not None else ""
    rows = Delivery.objects.filter(webhook=delivery.webhook, key=delivery.key).exclude(pk=delivery.pk)
    others = rows.exclude(decision=Decision.REFUSED) if delivery.decision != Decision.REFUSED else rows.none()
    return {
        "team": listing.team, "listing": listing, "webhook": delivery.webhook, "delivery": delivery,
        "reason": deliveries.reason(delivery), "body": body[:_BODY_SHOWN], "body_cut": len(body) > _BODY_SHOWN,
        "others": [ShownDelivery(row, deliveries.reason(row)) for row in others[:20]],
        "may_replay": kept is not None and bool(can(user, Permission.DEVELOP, listing.team)),
    }  # fmt: skip


def start_of(run: Run) -> Delivery | None:
    """The delivery that started a run, or None."""
    rows = Delivery.objects.filter(run=run, decision=Decision.BUILT)
    return rows.select_related("webhook__listing__team").first()
