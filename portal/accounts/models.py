"""Who uses the portal, and, in the demo, the mail it sent them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower

from portal.accounts.managers import UserManager


class Theme(models.TextChoices):
    AUTO = "auto", "As my device"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class User(AbstractBaseUser, PermissionsMixin):
    """Signs in by e-mail address. ``is_staff`` makes a site admin: marketplace staff, above every team."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField("e-mail address", max_length=254, unique=True)
    full_name = models.CharField("full name", max_length=120)
    is_staff = models.BooleanField("site admin", default=False)
    is_active = models.BooleanField("active", default=True)
    theme = models.CharField(max_length=8, choices=Theme, default=Theme.AUTO)
    date_joined = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["full_name"]

    class Meta:
        ordering = ("full_name", "email")
        constraints = [
            models.UniqueConstraint(
                Lower("email"), name="user_email_unique", violation_error_message="This address is already in use."
            ),
            models.CheckConstraint(condition=models.Q(theme__in=Theme.values), name="user_theme_known"),
        ]

    def __str__(self) -> str:
        return self.full_name or self.email

    def get_full_name(self) -> str:
        return self.full_name

    def get_short_name(self) -> str:
        """The first of the names, or what stands before the @."""
        return self.full_name.split()[0] if self.full_name.strip() else self.email.partition("@")[0]


class OutgoingMail(models.Model):
    """A mail that the demo kept instead of sending."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    sender = models.CharField(max_length=254)
    recipients = models.TextField()
    subject = models.CharField(max_length=300)
    body = models.TextField()

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.subject


class CacheEntry(models.Model):
    """What django.core.cache keeps: counts of sign-in tries and used one-time codes. Its columns are Django's own
    (``createcachetable``); a model makes the table come with the migrations."""

    cache_key = models.CharField(primary_key=True, max_length=255)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "slipway_cache"

    def __str__(self) -> str:
        return self.cache_key
