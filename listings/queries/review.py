"""What waits for an admin."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from listings.access import can_decide
from listings.models import Release, Waiver
from listings.states import ReleaseState


def review_queue(user: Any) -> dict[str, Any]:
    """Reviews, waivers asked for, releases to publish, registrations that failed; then waivers in force.

    ``to_review`` holds (release, may this user decide, and if not, why).
    """
    rows = Release.objects.select_related("version__listing__team", "version__author", "requested_by", "run")
    waiting = rows.order_by("created_at")
    asked = Waiver.objects.select_related("team", "version__listing", "requested_by", "granted_by")
    now = timezone.now()
    return {
        "to_review": [(release, can_decide(user, release)) for release in waiting.filter(state=ReleaseState.IN_REVIEW)],
        "to_publish": list(waiting.filter(state=ReleaseState.REGISTERED)),
        "to_resume": list(waiting.filter(state=ReleaseState.REGISTRATION_FAILED)),
        "asked": list(
            asked.filter(granted_at=None, refused_at=None, revoked_at=None).order_by("created_at")
        ),
        "active": list(
            asked.filter(granted_at__isnull=False, revoked_at=None, expires_at__gt=now).order_by("expires_at")
        ),
    }  # fmt: skip
