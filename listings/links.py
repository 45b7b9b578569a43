"""Paths of the pages of things, for notices, mails and the audit history."""

from __future__ import annotations

from django.urls import reverse

from listings.models import Listing, Release, Run, Version


def listing(item: Listing) -> str:
    return reverse("listing", args=[item.team.slug, item.slug])


def version(item: Version) -> str:
    return reverse("version", args=[item.listing.team.slug, item.listing.slug, item.number])


def run(item: Run) -> str:
    version_ = item.version
    return reverse("run", args=[version_.listing.team.slug, version_.listing.slug, version_.number, item.number])


def release(item: Release) -> str:
    return reverse("release", args=[item.version.listing.team.slug, item.pk])
