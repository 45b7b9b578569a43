"""What happened, and who was told."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from listings.models.base import Row


class AuditEvent(Row):
    """One act. ``action`` is ``noun.verb``; ids of team, listing and release stay after deletion."""

    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_label = models.CharField(max_length=160)
    action = models.CharField(max_length=60, db_index=True)
    subject = models.CharField(max_length=200)
    url = models.CharField(max_length=300, blank=True)
    team_id = models.UUIDField(null=True, db_index=True)
    listing_id = models.UUIDField(null=True, db_index=True)
    release_id = models.UUIDField(null=True, db_index=True)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.actor_label} {self.action} {self.subject}"


class Notice(Row):
    """Something a user should know, in the bell menu and by mail."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=40)
    title = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    url = models.CharField(max_length=300)
    read_at = models.DateTimeField(null=True, blank=True)
    mailed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        indexes = [models.Index(fields=("user", "read_at"), name="notice_unread")]

    def __str__(self) -> str:
        return self.title
