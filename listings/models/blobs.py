"""Large things, by content."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from listings.models.base import Row
from listings.models.teams import Team


class Blob(models.Model):
    """A stored file named by its SHA-256 (lower-case hex). ``size`` in bytes."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.sha256[:12]} ({self.size} bytes)"


class UploadPurpose(models.TextChoices):
    SOURCE = "source", "Source"
    BUNDLE = "bundle", "Companion bundle"
    ARTIFACT = "artifact", "Model artifact"


class Upload(Row):
    """A file somebody sent, kept apart from the form it was sent with, so that no error costs it."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="uploads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    purpose = models.CharField(max_length=16, choices=UploadPurpose)
    filename = models.CharField(max_length=255)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="uploads")

    def __str__(self) -> str:
        return self.filename


class IncomingUpload(Row):
    """A file that is being sent in pieces. ``size`` and ``offset`` in bytes; ``offset`` is what has arrived.

    ``sha256`` is what the sender says the whole will have, or empty. The bytes lie in storage below ``incoming/``
    until they are complete; then ``upload`` names the result.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=16, choices=UploadPurpose)
    filename = models.CharField(max_length=255)
    size = models.BigIntegerField()
    offset = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    upload = models.ForeignKey(Upload, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(offset__gte=0, offset__lte=models.F("size")), name="incoming_within_its_size"
            )
        ]

    def __str__(self) -> str:
        return f"{self.filename}: {self.offset} of {self.size} bytes"
