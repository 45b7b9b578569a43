"""Webhooks, what came in by them, and what is reported back to the code host."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from listings import sealing
from listings.models.base import Row
from listings.models.blobs import Blob
from listings.models.listings import Listing, Version
from listings.models.runs import Run


class Provider(models.TextChoices):
    """Who posts to a webhook's address."""

    GITHUB = "github", "GitHub"
    GITLAB = "gitlab", "GitLab"
    BITBUCKET = "bitbucket", "Bitbucket"
    GITEA = "gitea", "Gitea"
    REGISTRY = "registry", "OCI registry"
    GENERIC = "generic", "Standard Webhooks"


class Webhook(Row):
    """An address of a listing's own that others post to; its id is in the address.

    Two secrets are active while one is rotated: the sealed one, and the previous until ``previous_until``.
    ``branches``, ``tags`` and ``paths`` are lists of shell-style patterns; an empty list of branches or tags matches
    none, an empty list of paths any.
    """

    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, related_name="webhooks")
    provider = models.CharField(max_length=16, choices=Provider)
    sealed = models.TextField()
    previous_sealed = models.TextField(blank=True)
    previous_until = models.DateTimeField(null=True, blank=True)
    branches = models.JSONField(default=list, blank=True)
    tags = models.JSONField(default=list, blank=True)
    paths = models.JSONField(default=list, blank=True)
    enabled = models.BooleanField(default=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ("created_at",)
        constraints = [models.CheckConstraint(condition=Q(provider__in=Provider.values), name="webhook_provider_known")]

    def __str__(self) -> str:
        return f"{self.get_provider_display()} webhook of {self.listing}"

    def seal(self, secret: str) -> None:
        """Keep ``secret`` in this row; the caller saves."""
        self.sealed = sealing.seal(secret, str(self.pk))


class Decision(models.TextChoices):
    """What became of a delivery."""

    BUILT = "built", "Built"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    REPEATED = "repeated", "Repeated"
    IGNORED = "ignored", "Ignored"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


class Delivery(Row):
    """One request to a webhook, redacted, with the decision and why.

    ``key`` is the sender's delivery id, or the SHA-256 of the body where it sends none; one that led to a decision
    is unique within its webhook. ``body`` is kept for verified deliveries only. ``milliseconds`` is the time to answer.
    """

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    key = models.CharField(max_length=200)
    event = models.CharField(max_length=80, blank=True)
    decision = models.CharField(max_length=16, choices=Decision)
    code = models.CharField(max_length=48, blank=True)
    params = models.JSONField(default=dict, blank=True)
    ref = models.CharField(max_length=255, blank=True)
    commit = models.CharField(max_length=71, blank=True)
    sender = models.CharField(max_length=120, blank=True)
    headers = models.JSONField(default=dict, blank=True)
    body = models.ForeignKey(Blob, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    status = models.PositiveSmallIntegerField()
    milliseconds = models.PositiveIntegerField(default=0)
    version = models.ForeignKey(Version, null=True, blank=True, on_delete=models.SET_NULL, related_name="deliveries")
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="deliveries")
    replay_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="replays")
    replayed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    is_test = models.BooleanField(default=False)

    class Meta:
        ordering = ("-created_at",)
        indexes = [models.Index(fields=("webhook", "-created_at"), name="delivery_of_webhook")]
        constraints = [
            models.UniqueConstraint(
                fields=("webhook", "key"),
                condition=Q(replay_of__isnull=True, decision__in=("built", "acknowledged", "ignored", "failed")),
                name="delivery_decided_once",
            ),
            models.CheckConstraint(condition=Q(decision__in=Decision.values), name="delivery_decision_known"),
        ]

    def __str__(self) -> str:
        return f"{self.event or 'delivery'} {self.key}"


class StatusState(models.TextChoices):
    PENDING = "pending", "Pending"
    SUCCESS = "success", "Success"
    FAILURE = "failure", "Failure"


class CommitStatus(Row):
    """One report to the code host about a run of a commit. Sent until it is taken or given up.

    ``next_at`` is when to try (again); None once it is sent or given up.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="commit_statuses")
    state = models.CharField(max_length=16, choices=StatusState)
    next_at = models.DateTimeField(null=True, blank=True, db_index=True)
    tries = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    problem_code = models.CharField(max_length=48, blank=True)
    problem_params = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("created_at",)
        constraints = [
            models.CheckConstraint(condition=Q(state__in=StatusState.values), name="commit_status_state_known")
        ]

    def __str__(self) -> str:
        return f"{self.run}: {self.state}"
