"""Releases: the request to publish a version, what was said about it, and what became of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from listings.models.base import Row
from listings.models.listings import Version
from listings.models.runs import Run
from listings.states import RELEASE_OPEN, ReleaseState


class Release(Row):
    """Pinned to one run: its digest is what is approved, registered and published.

    ``verdict`` is the gate's answer as it stood at the last decision; ``change_set`` what Publish will send.
    """

    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="releases")
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="releases")
    state = models.CharField(max_length=24, choices=ReleaseState, default=ReleaseState.DRAFT, db_index=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    verdict = models.JSONField(default=dict, blank=True)

    resource_name = models.CharField(max_length=63, blank=True)
    resource_arn = models.CharField(max_length=300, blank=True)
    registered_at = models.DateTimeField(null=True, blank=True)
    change_set = models.JSONField(default=list, blank=True)
    change_set_validation = models.JSONField(default=dict, blank=True)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    change_set_id = models.CharField(max_length=100, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=("version",), condition=Q(state__in=sorted(RELEASE_OPEN)), name="one_open_release_per_version"
            ),
            models.CheckConstraint(condition=Q(state__in=ReleaseState.values), name="release_state_known"),
        ]

    def __str__(self) -> str:
        return f"release of {self.version}"


class Review(Row):
    """An admin's decision. Kept when the release goes round again."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="reviews")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    decision = models.CharField(max_length=24, choices=[("approved", "Approved"), ("changes", "Changes requested")])
    comment = models.TextField(blank=True)
    verdict = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("created_at",)

    def __str__(self) -> str:
        return f"{self.decision} by {self.reviewer}"


class Comment(Row):
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    body = models.TextField(max_length=10_000)

    class Meta:
        ordering = ("created_at",)

    def __str__(self) -> str:
        return self.body[:40]
