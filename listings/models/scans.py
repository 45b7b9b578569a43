"""Scan results, findings, waivers, and the policies they are judged by."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from listings.models.base import Row
from listings.models.listings import Version
from listings.models.runs import Attempt


class ScanResult(Row):
    """A scanner's report on one image. ``complete`` False means unknown, never "nothing found"."""

    attempt = models.OneToOneField(Attempt, on_delete=models.CASCADE, related_name="scan_result")
    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="scan_results")
    scanner = models.CharField(max_length=60)
    scanner_version = models.CharField(max_length=60, blank=True)
    complete = models.BooleanField()
    os_id = models.CharField(max_length=60, blank=True)
    os_version = models.CharField(max_length=60, blank=True)
    os_name = models.CharField(max_length=160, blank=True)
    detail = models.TextField(blank=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.scanner} on {self.version}"


class Finding(Row):
    scan_result = models.ForeignKey(ScanResult, on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=20)
    identifier = models.CharField(max_length=120, db_index=True)
    severity = models.CharField(max_length=12)
    title = models.CharField(max_length=300)
    package = models.CharField(max_length=200, blank=True)
    installed = models.CharField(max_length=120, blank=True)
    fixed_in = models.CharField(max_length=120, blank=True)
    location = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return self.identifier


class Waiver(Row):
    """An approved exception to one gate rule, for one subject (``debian:12``, ``CVE-…``) of one team.

    ``version`` None means every version of the team. Asked for by anyone in the team who develops,
    granted by an admin, always with a reason and an expiry.
    """

    team = models.ForeignKey("listings.Team", on_delete=models.CASCADE, related_name="waivers")
    version = models.ForeignKey(Version, null=True, blank=True, on_delete=models.CASCADE, related_name="waivers")
    code = models.CharField(max_length=48)
    subject = models.CharField(max_length=200)
    reason = models.TextField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    granted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    granted_at = models.DateTimeField(null=True, blank=True)
    grant_reason = models.TextField(blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(
                condition=Q(granted_at__isnull=True) | Q(expires_at__isnull=False), name="granted_waiver_expires"
            ),
            models.CheckConstraint(
                condition=Q(granted_at__isnull=True) | Q(refused_at__isnull=True), name="waiver_granted_or_refused"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.subject}"

    def state(self, now: object) -> str:
        """asked | refused | active | expired | revoked, at ``now`` (aware datetime)."""
        if self.revoked_at is not None:
            return "revoked"
        if self.refused_at is not None:
            return "refused"
        if self.granted_at is None:
            return "asked"
        return "active" if self.expires_at is not None and self.expires_at > now else "expired"  # type: ignore[operator]


class Policy(Row):
    """One version of the admins' rules; the highest number is in force. Never edited."""

    number = models.PositiveIntegerField(unique=True)
    body = models.JSONField()
    reason = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ("-number",)
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return f"policy {self.number}"
