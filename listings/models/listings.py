"""Listings and their versions."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from listings.models.base import Row
from listings.models.blobs import Blob, Upload
from listings.models.teams import Team
from listings.states import VersionState


class Kind(models.TextChoices):
    """What SageMaker resource a listing becomes; values are the spec file's ``kind``."""

    ALGORITHM = "Algorithm", "Algorithm"
    MODEL_PACKAGE = "ModelPackage", "Model package"


class Listing(Row):
    """One product of a team. ``product_id`` is the Marketplace Catalog entity (``prod-…``)."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="listings")
    kind = models.CharField(max_length=16, choices=Kind)
    name = models.CharField(max_length=72)
    slug = models.SlugField(max_length=48)
    summary = models.CharField(max_length=300, blank=True)
    product_id = models.CharField(max_length=64, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(fields=("team", "slug"), name="listing_slug_unique_in_team"),
            models.CheckConstraint(condition=models.Q(kind__in=Kind.values), name="listing_kind_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None


class Version(Row):
    """One release candidate. Once submitted, only the columns a run establishes are written.

    ``spec`` is the form-filled spec (VersionSpec as JSON) or None when the source's ``slipway.yaml`` holds it.
    ``number_key`` sorts versions by semantic precedence.
    """

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="versions")
    number = models.CharField(max_length=64)
    number_key = models.CharField(max_length=200, db_index=True)
    state = models.CharField(max_length=16, choices=VersionState, default=VersionState.DRAFT)
    source = models.ForeignKey(Upload, on_delete=models.PROTECT, related_name="+")
    artifact = models.ForeignKey(Upload, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    spec = models.JSONField(null=True, blank=True)
    notes = models.TextField(blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    submitted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-number_key",)
        constraints = [
            models.UniqueConstraint(fields=("listing", "number"), name="version_number_unique_in_listing"),
            models.CheckConstraint(condition=models.Q(state__in=VersionState.values), name="version_state_known"),
        ]

    def __str__(self) -> str:
        return f"{self.listing} {self.number}"

    @property
    def source_sha256(self) -> str:
        return self.source.blob_id

    @property
    def artifact_sha256(self) -> str | None:
        return self.artifact.blob_id if self.artifact else None


__all__ = ["Blob", "Kind", "Listing", "Upload", "Version"]
