"""This installation, and the worker processes that serve it."""

from __future__ import annotations

import uuid

from django.db import models


class Instance(models.Model):
    """The one row that names this installation; everything made in an engine carries its id."""

    singleton = models.BooleanField(primary_key=True, default=True, editable=False)
    id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(singleton=True), name="one_instance")]

    def __str__(self) -> str:
        return str(self.id)

    @classmethod
    def current_id(cls) -> uuid.UUID:
        """The installation's id, made on first use."""
        row, _ = cls.objects.get_or_create(singleton=True)
        return row.id


class WorkerProcess(models.Model):
    """A Celery worker's sign of life. ``slots`` is how many steps it runs at once; ``detail`` is shown to admins."""

    name = models.CharField(primary_key=True, max_length=120)
    queue = models.CharField(max_length=16)
    host = models.CharField(max_length=120)
    boot = models.UUIDField()
    slots = models.PositiveIntegerField()
    seen_at = models.DateTimeField()
    detail = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return self.name
