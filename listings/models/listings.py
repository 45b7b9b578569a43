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


class SourceKind(models.TextChoices):
    """Where a container comes from."""

    UPLOAD = "upload", "Upload"
    GIT = "git", "Git"
    IMAGE = "image", "Image"


class Version(Row):
    """One release candidate. Once submitted, only the columns a run establishes are written.

    ``source`` is the uploaded build context, or the companion bundle (spec, samples, artifact) of an existing image; a
    version from Git has none. ``git_ref`` is what was asked for, ``git_commit`` what it meant when it was first fetched
    (or what a webhook named); ``git_branch`` is set when a push to that branch made the version. In the same way
    ``image_digest`` is what ``image_reference`` meant. Later runs use the commit and the digest.
    ``spec`` is the form-filled spec (VersionSpec as JSON) or None when the source's ``slipway.yaml`` holds it.
    ``number_key`` sorts versions by semantic precedence.
    """

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="versions")
    number = models.CharField(max_length=64)
    number_key = models.CharField(max_length=200, db_index=True)
    state = models.CharField(max_length=16, choices=VersionState, default=VersionState.DRAFT)
    source_kind = models.CharField(max_length=8, choices=SourceKind, default=SourceKind.UPLOAD)
    source = models.ForeignKey(Upload, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    git_url = models.CharField(max_length=500, blank=True)
    git_ref = models.CharField(max_length=255, blank=True)
    git_commit = models.CharField(max_length=64, blank=True)
    git_branch = models.CharField(max_length=255, blank=True)
    directory = models.CharField(max_length=255, blank=True)
    image_reference = models.CharField(max_length=500, blank=True)
    image_digest = models.CharField(max_length=71, blank=True)
    credential = models.ForeignKey(
        "listings.Credential", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
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
            models.CheckConstraint(
                condition=models.Q(source_kind=SourceKind.UPLOAD, source__isnull=False)
                | models.Q(source_kind=SourceKind.GIT, source__isnull=True) & ~models.Q(git_url="")
                | models.Q(source_kind=SourceKind.IMAGE, source__isnull=False) & ~models.Q(image_reference=""),
                name="version_has_its_source",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.listing} {self.number}"

    @property
    def source_label(self) -> str:
        """The source in a few words: file name, repository or image."""
        if self.source_kind == SourceKind.GIT:
            return self.git_url
        if self.source_kind == SourceKind.IMAGE:
            return self.image_reference
        return self.source.filename if self.source else ""

    @property
    def source_sha256(self) -> str | None:
        return self.source.blob_id if self.source else None

    @property
    def artifact_sha256(self) -> str | None:
        return self.artifact.blob_id if self.artifact else None


__all__ = ["Blob", "Kind", "Listing", "SourceKind", "Upload", "Version"]
