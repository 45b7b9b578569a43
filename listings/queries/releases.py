"""Releases: the list, the page with evidence and decision, and asking for one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.db.models import Count, QuerySet
from django.urls import reverse

from listings import changesets
from listings.access import Permission, can, can_decide
from listings.models import AuditEvent, Check, Release, Run, Team, Version
from listings.queries import change_set
from listings.queries.changes import changes_for_buyers
from listings.queries.versions import StepRow, show_check, show_problem, steps_of
from listings.services import verdicts
from listings.services.waivers import WAIVABLE
from listings.spec import VersionSpec, resource_name
from listings.states import RELEASE_OPEN, ReleaseState, RunState, StepName

_NOT_WITHDRAWABLE = frozenset({
    ReleaseState.REGISTERING, ReleaseState.PUBLISHING, ReleaseState.PUBLISHED, ReleaseState.SUPERSEDED,
    ReleaseState.WITHDRAWN,
})  # fmt: skip
_DECIDED = frozenset({ReleaseState.APPROVED, ReleaseState.REGISTERING, ReleaseState.REGISTERED,
                      ReleaseState.REGISTRATION_FAILED})  # fmt: skip
LONGEST_HISTORY = 50


@dataclass(frozen=True, slots=True)
class Place:
    """Something to fill in before a release: ``fields`` are (field, what is wrong), ``url`` where it is done."""

    title: str
    hint: str
    url: str
    action: str
    fields: tuple[tuple[str, str], ...]


def releases_of(team: Team) -> QuerySet[Release]:
    rows = Release.objects.filter(version__listing__team=team)
    return rows.select_related("version__listing", "requested_by", "run")


def release_page(user: Any, release: Release) -> dict[str, Any]:
    version = release.version
    team = version.listing.team
    may_admin, may_release = can(user, Permission.ADMIN), can(user, Permission.RELEASE, team)
    decision = can_decide(user, release)
    return _run_facts(release) | _progress(release) | {
        "team": team, "release": release, "version": version, "run": release.run, "listing": version.listing,
        "changes": changes_for_buyers(release),
        "discussion": discussion(release),
        "asked_change": release.reviews.filter(decision="changes").select_related("reviewer").last(),
        "history": AuditEvent.objects.filter(release_id=release.pk)[:LONGEST_HISTORY],
        "decision": decision,
        # A form that somebody may be writing in is never refreshed under their hands.
        "form_shown": (release.state == ReleaseState.IN_REVIEW and bool(decision))
        or (release.state == ReleaseState.CHANGES_REQUESTED and bool(may_release)),
        "may_admin": may_admin,
        "may_release": may_release,
        "may_withdraw": release.state not in _NOT_WITHDRAWABLE and (may_release or may_admin),
        "is_open": release.state in RELEASE_OPEN,
        "resource_name": release.resource_name
        or resource_name(version.listing.slug, version.number, release.run.number),
    }  # fmt: skip


def _run_facts(release: Release) -> dict[str, Any]:
    """The evidence: the gate's verdict now, and the figures behind its reasons."""
    attempts = verdicts.succeeded_attempts(release.run)
    verdict = verdicts.verdict_of(release.run)
    latest = Check.objects.filter(attempt__in=verdicts.latest_attempts(release.run))
    counts = latest.values_list("outcome").annotate(count=Count("pk")).order_by()
    return {
        "facts": {name: attempt.facts for name, attempt in attempts.items()},
        "scan": getattr(attempts.get(StepName.SCAN), "scan_result", None),
        "verdict": verdict,
        "check_count": dict(counts),
        "closed_since": release.state in _DECIDED and not verdict.passed,
    }


def _progress(release: Release) -> dict[str, Any]:
    """Register and publish: their steps, AWS's own statuses, and the change set with its check."""
    steps = steps_of(release)
    ended = [row.attempt for row in steps if row.attempt is not None]
    rows = Check.objects.filter(attempt__in=ended).select_related("attempt__step")
    checks = [show_check(check) for check in rows.order_by("attempt__step__position", "position")]
    register = _attempt_facts(steps, StepName.REGISTER)
    shown = release.change_set or register.get("change_set") or []
    return {
        "steps": steps,
        "problems": [problem for problem in map(show_problem, ended) if problem is not None],
        "checks": checks,
        "failing_checks": [shown for shown in checks if shown.check.outcome in ("fail", "warn")],
        "aws": register | {"publish_status": _attempt_facts(steps, StepName.PUBLISH).get("status", "")},
        "change_set": shown,
        "change_set_sections": change_set.sections(shown),
        "validation": release.change_set_validation or register.get("validation") or {},
    }


def _attempt_facts(steps: list[StepRow], name: str) -> dict[str, Any]:
    for row in steps:
        if row.step.name == name and row.attempt is not None:
            return row.attempt.facts
    return {}


def discussion(release: Release) -> list[Any]:
    """Comments and reviews together, oldest first; a review has a ``decision``."""
    rows = chain(release.comments.select_related("author"), release.reviews.select_related("reviewer"))
    return sorted(rows, key=lambda row: row.created_at)


def release_request_page(version: Version) -> dict[str, Any]:
    """The gate's verdict, what is still to be filled in, and why a release cannot be asked for (``closed``)."""
    run: Run | None = version.runs.order_by("-number").first()
    open_release = version.releases.filter(state__in=RELEASE_OPEN).first()
    context: dict[str, Any] = {
        "version": version, "listing": version.listing, "run": run, "open_release": open_release, "places": [],
        "waivable": WAIVABLE, "is_prerelease": "-" in version.number,
    }  # fmt: skip
    if run is None:
        return context | {"closed": _closed(context)}
    facts = verdicts.facts_of(run)
    if StepName.FETCH in facts:
        context["places"] = places_to_fill(VersionSpec.stored(facts[StepName.FETCH]["spec"]), version)
    context |= {"verdict": verdicts.verdict_of(run), "facts": facts}
    return context | {"closed": _closed(context)}


def _closed(context: dict[str, Any]) -> list[str]:
    """Every reason, in a sentence, why the release cannot be asked for; empty if it can."""
    version, run, verdict = context["version"], context["run"], context.get("verdict")
    reasons = []
    if context["is_prerelease"]:
        reasons.append(f"{version.number} is a pre-release: it can be tested, but not published.")
    if context["open_release"] is not None:
        reasons.append("A release of this version is open already.")
    if run is None or run.state == RunState.ACTIVE:
        reasons.append("Its run has not ended yet." if run else "It has not run yet.")
    elif verdict is not None and not verdict.passed:
        count = len(verdict.failures)
        reasons.append(f"The gate is closed: {count} point{'s' * (count != 1)} must be fixed or waived.")
    missing = sum(len(place.fields) for place in context["places"])
    if missing:
        reasons.append(f"{missing} field{'s' * (missing != 1)} that the Marketplace requires must be filled in.")
    return reasons


def places_to_fill(spec: VersionSpec, version: Version) -> list[Place]:
    """What the Marketplace would refuse, grouped by the page on which it is put right."""
    listing, team = version.listing, version.listing.team
    found: dict[str, dict[str, str]] = {"listing": {}, "team": {}, "spec": {}}
    for fault in changesets.faults(spec, listing):
        where = "spec" if "." in fault.spec_field else "team" if "team" in fault.spec_field else "listing"
        found[where].setdefault(fault.spec_field, fault.detail)
    places = (
        ("spec", "In slipway.yaml", "A version never changes: correct these and submit a new version.",
         reverse("version_new", args=[team.slug, listing.slug]), "New version"),
        ("listing", "On the listing", "Takes effect at once, for this version too.",
         reverse("listing_edit", args=[team.slug, listing.slug]), "Edit the listing"),
        ("team", "In the team's AWS connection", "An owner of the team fills it in; it takes effect at once.",
         reverse("team", args=[team.slug]) + "#aws", "AWS connection"),
    )  # fmt: skip
    return [
        Place(title, hint, url, action, tuple(found[key].items()))
        for key, title, hint, url, action in places if found[key]
    ]  # fmt: skip
