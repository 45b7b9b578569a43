"""After a new encryption key: everything sealed is sealed again with it, so that the old key can be taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import models

from listings import sealing
from listings.models import Credential, Webhook
from listings.problems import ProblemError
from listings.services import audit

#: Every column that holds a secret.
SEALED: tuple[tuple[type[models.Model], tuple[str, ...]], ...] = (
    (Credential, ("sealed",)),
    (Webhook, ("sealed", "previous_sealed")),
)


@dataclass(slots=True)
class Resealed:
    """``secrets`` were sealed again; the rows of ``unreadable`` (``table id``) open with no key that is left."""

    secrets: int
    unreadable: list[str]


def reseal_all(*, batch: int = 200) -> Resealed:
    """Seal every secret with the newest key. Safe beside running processes, and to be run again after a stop."""
    found = Resealed(0, [])
    for model, columns in SEALED:
        last: Any = None
        while rows := _next(model, columns, last, batch):
            for row in rows:
                _reseal(model, columns, row, found)
            last = rows[-1]["pk"]
    audit.record(
        None, "encryption_keys.rotate", "stored secrets", secrets=found.secrets, unreadable=len(found.unreadable)
    )
    return found


def _next(model: type[models.Model], columns: tuple[str, ...], last: Any, batch: int) -> list[dict[str, Any]]:
    rows = model._default_manager.order_by("pk")
    if last is not None:
        rows = rows.filter(pk__gt=last)
    return list(rows.values("pk", *columns)[:batch])


def _reseal(model: type[models.Model], columns: tuple[str, ...], row: dict[str, Any], found: Resealed) -> None:
    for column in columns:
        old = row[column]
        if not old:
            continue
        try:
            new = sealing.reseal(old)
        except ProblemError:
            found.unreadable.append(f"{model._meta.model_name} {row['pk']}")
            continue
        # Whoever changed the secret meanwhile sealed it with the newest key already.
        same = model._default_manager.filter(**{"pk": row["pk"], column: old})
        found.secrets += same.update(**{column: new})
