"""What every table shares."""

from __future__ import annotations

import uuid

from django.db import models


class Row(models.Model):
    """UUID key and creation time (UTC)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        abstract = True
