"""Releases: the list, the page with evidence and decision, and the admins' queue."""

from __future__ import annotations

from itertools import chain
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from listings import changesets
from listings.access import Permission, can, can_decide
from listings.models import AuditEvent, Release, Run, Team, Version, Waiver
from listings.queries.versions import show_check, show_problem, steps_of
from listings.services import verdicts
from listings.services.waivers import WAIVABLE
from listings.spec import VersionSpec
from listings.states import RELEASE_OPEN, ReleaseState

_NOT_WITHDRAWABLE = frozenset({
    ReleaseState.REGISTERING, ReleaseState.PUBLISHING, ReleaseState.PUBLISHED, ReleaseState.SUPERSEDED,
    ReleaseState.WITHDRAWN,
})  # fmt: skip


def releases_of(team: Team) -> QuerySet[Release]:
    rows = Release.objects.filter(version__listing__team=team)
    return rows.select_related("version__listing", "requested_by", "run")


def release_page(user: Any, release: Release) -> dict[str, Any]:
    team = release.version.listing.team
    steps = steps_of(release)
    facts = verdicts.facts_of(release.run)
    ended = [row.attempt for row in steps if row.attempt is not None]
    return {
        "team": team, "release": release, "version": release.version, "run": release.run,
        "listing": release.version.listing, "facts": facts,
        "verdict": verdicts.verdict_of(release.run),
        "steps": steps,
        "problems": [shown for shown in map(show_problem, ended) if shown is not None],
        "checks": [show_check(check) for attempt in ended for check in attempt.checks.select_related("attempt__step")],
        "changes": changes_for_buyers(release),
        "discussion": discussion(release),
        "history": AuditEvent.objects.filter(release_id=release.pk)[:50],
        "decision": can_decide(user, release),
        "may_admin": can(user, Permission.ADMIN),
        "may_release": can(user, Permission.RELEASE, team),
        "may_withdraw": release.state not in _NOT_WITHDRAWABLE
        and (can(user, Permission.RELEASE, team) or can(user, Permission.ADMIN)),
        "is_open": release.state in RELEASE_OPEN,
    }  # fmt: skip


def discussion(release: Release) -> list[Any]:
    """Comments and reviews together, oldest first; a review has a ``decision``."""
    rows = chain(release.comments.select_related("author"), release.reviews.select_related("reviewer"))
    return sorted(rows, key=lambda row: row.created_at)


def last_published(version: Version) -> Release | None:
    rows = Release.objects.filter(
        version__listing=version.listing, state__in=(ReleaseState.PUBLISHED, ReleaseState.SUPERSEDED)
    )
    return rows.exclude(version=version).order_by("-published_at").select_related("run", "version").first()


def changes_for_buyers(release: Release) -> dict[str, Any] | None:
    """What differs from the last published release: rows of (label, before, after, change in percent or None)."""
    before = last_published(release.version)
    if before is None:
        return None
    old, new = verdicts.facts_of(before.run), verdicts.facts_of(release.run)
    rows = [
        _row("Image size", old, new, ("inspect", "bytes_compressed"), "bytes"),
        _row("First good ping", old, new, ("test", "inference", "first_ping_seconds"), "seconds"),
        _row("Peak memory", old, new, ("test", "peak_memory_bytes"), "memory"),
    ]
    return {"against": before, "rows": [row for row in rows if row is not None]}


def _dig(facts: Any, path: tuple[str, ...]) -> float | None:
    for key in path:
        facts = facts.get(key) if isinstance(facts, dict) else None
    return facts if isinstance(facts, (int, float)) else None


def _row(label: str, old: Any, new: Any, path: tuple[str, ...], unit: str) -> dict[str, Any] | None:
    before, after = _dig(old, path), _dig(new, path)
    if before is None or after is None:
        return None
    change = round((after - before) / before * 100) if before else None
    return {"label": label, "before": before, "after": after, "change": change, "unit": unit}


def release_request_page(version: Version) -> dict[str, Any]:
    run: Run | None = version.runs.order_by("-number").first()
    context: dict[str, Any] = {"version": version, "listing": version.listing, "run": run}
    if run is None:
        return context
    facts = verdicts.facts_of(run)
    missing: list[str] = []
    if "fetch" in facts:
        spec = VersionSpec.stored(facts["fetch"]["spec"])
        missing = changesets.missing_fields(spec, version.listing)
    asked = Waiver.objects.filter(version=version, granted_at=None, refused_at=None)
    return context | {
        "verdict": verdicts.verdict_of(run), "missing": missing, "waivable": WAIVABLE, "facts": facts,
        "asked": set(asked.values_list("code", "subject")),
    }  # fmt: skip


def review_queue() -> dict[str, Any]:
    """What waits for an admin: reviews, waivers asked for, registrations that failed, releases to publish."""
    rows = Release.objects.select_related("version__listing__team", "requested_by", "run")
    waivers = Waiver.objects.select_related("team", "version__listing", "requested_by", "granted_by")
    now = timezone.now()
    return {
        "to_review": rows.filter(state=ReleaseState.IN_REVIEW),
        "to_resume": rows.filter(state=ReleaseState.REGISTRATION_FAILED),
        "to_publish": rows.filter(state=ReleaseState.REGISTERED),
        "asked": waivers.filter(granted_at=None, refused_at=None, revoked_at=None),
        "active": waivers.filter(granted_at__isnull=False, revoked_at=None, expires_at__gt=now),
    }
