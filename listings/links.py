"""Paths of the pages of things, for notices, mails and the audit history."""

from __future__ import annotations

from django.urls import reverse

from listings.models import Credential, Delivery, Listing, Release, Run, Version, Webhook


def listing(item: Listing) -> str:
    return reverse("listing", args=[item.team.slug, item.slug])


def version(item: Version) -> str:
    return reverse("version", args=[item.listing.team.slug, item.listing.slug, item.number])


def run(item: Run) -> str:
    version_ = item.version
    return reverse("run", args=[version_.listing.team.slug, version_.listing.slug, version_.number, item.number])


def release(item: Release) -> str:
    return reverse("release", args=[item.version.listing.team.slug, item.pk])


def source(item: Listing) -> str:
    return reverse("listing_source", args=[item.team.slug, item.slug])


def credential(item: Credential) -> str:
    return reverse("credential", args=[item.team.slug, item.pk])


def webhook(item: Webhook) -> str:
    return reverse("webhook", args=[item.listing.team.slug, item.listing.slug, item.pk])


def delivery(item: Delivery) -> str:
    listing_ = item.webhook.listing
    return reverse("delivery", args=[listing_.team.slug, listing_.slug, item.webhook_id, item.pk])
