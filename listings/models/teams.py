"""Teams, who is in them, and how they connect to AWS."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from listings.models.base import Row


class Role(models.TextChoices):
    """Each role may do what those before it may."""

    VIEWER = "viewer", "Viewer"
    DEVELOPER = "developer", "Developer"
    RELEASER = "releaser", "Releaser"
    OWNER = "owner", "Owner"


class Team(Row):
    """A seller organisation; owns its listings. AWS fields name what is assumed and used, never a key."""

    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=80, unique=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    aws_account_id = models.CharField(max_length=12, blank=True)
    aws_region = models.CharField(max_length=32, blank=True)
    aws_role_arn = models.CharField(max_length=200, blank=True)
    aws_external_id = models.UUIDField(default=uuid.uuid4, editable=False)
    s3_bucket = models.CharField(max_length=63, blank=True)
    ecr_prefix = models.CharField(max_length=120, blank=True)
    validation_role_arn = models.CharField(max_length=200, blank=True)
    access_role_arn = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def aws_connected(self) -> bool:
        return all(
            (
                self.aws_account_id,
                self.aws_region,
                self.aws_role_arn,
                self.s3_bucket,
                self.ecr_prefix,
                self.validation_role_arn,
                self.access_role_arn,
            )
        )


class Membership(Row):
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("team", "user"), name="one_membership_per_team_and_user"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.team} as {self.role}"
