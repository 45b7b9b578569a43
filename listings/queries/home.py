"""Home and search."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from listings import links
from listings.access import Permission, can, visible_teams
from listings.models import AuditEvent, Listing, Notice, Release, Run, Team, Version
from listings.queries.listings import rows_for
from listings.queries.versions import StepRow, rails, show_problem
from listings.states import ReleaseState, RunState

_HITS = 8
#: How many listings are asked for their pages by name.
_LISTINGS_ASKED = 50
_SESSION_TEAM = "team"


def current_team(request: HttpRequest) -> Team | None:
    """The team last visited, else the user's first."""
    teams = visible_teams(request.user).order_by("name")
    return teams.filter(slug=request.session.get(_SESSION_TEAM, "")).first() or teams.first()


def home(user: Any, team: Team | None) -> dict[str, Any]:
    """What needs the user, what runs now, the listings, and what happened."""
    if team is None:
        return {"team": None}
    listings = list(Listing.objects.filter(team=team, archived_at__isnull=True).select_related("team"))
    active = Run.objects.filter(version__listing__team=team, state=RunState.ACTIVE)
    running = list(active.select_related("version__listing__team")[:5])
    stops = rails(running)
    return {
        "team": team,
        "needs": needs(user, team),
        "rows": rows_for(listings[:10]),
        "listing_count": len(listings),
        "running": [(run, stops.get(run.pk, [])) for run in running],
        "events": AuditEvent.objects.filter(team_id=team.pk)[:10],
        "may_develop": can(user, Permission.DEVELOP, team),
    }


def needs(user: Any, team: Team) -> list[dict[str, Any]]:
    """What waits for this user: failed newest versions, changes asked for, reviews, unread notices."""
    items: list[dict[str, Any]] = []
    if can(user, Permission.ADMIN):
        waiting = (ReleaseState.IN_REVIEW, ReleaseState.REGISTERED, ReleaseState.REGISTRATION_FAILED)
        items += [_release_need(release) for release in _releases(*waiting)]
    changes = _releases(ReleaseState.CHANGES_REQUESTED).filter(version__listing__team=team)
    items += [_release_need(release) for release in changes]
    failed = _failed_newest(team)
    stops = rails(failed)
    items += [_run_need(run, stops.get(run.pk, [])) for run in failed]
    for notice in Notice.objects.filter(user=user, read_at=None, kind="release.comment")[:5]:
        url = reverse("notice", args=[notice.pk])
        items.append({"icon": "message-2", "tone": "run", "title": notice.title, "detail": notice.body, "url": url,
                      "action": "Read"})  # fmt: skip
    return items


def _releases(*states: ReleaseState) -> Any:
    return Release.objects.filter(state__in=states).select_related("version__listing__team", "requested_by")


def _release_need(release: Release) -> dict[str, Any]:
    texts = {
        ReleaseState.IN_REVIEW: ("asks for a review", "Review", "run"),
        ReleaseState.REGISTERED: ("is registered and can be published", "Open", "pass"),
        ReleaseState.REGISTRATION_FAILED: ("could not be registered", "Open", "fail"),
        ReleaseState.CHANGES_REQUESTED: ("has changes requested", "Open", "warn"),
    }
    text, action, tone = texts[ReleaseState(release.state)]
    who = f"{release.version.listing.team}, asked for by {release.requested_by}"
    return {"icon": "rocket", "tone": tone, "subject": str(release.version), "title": text, "detail": who,
            "url": links.release(release), "action": action}  # fmt: skip


def _failed_newest(team: Team) -> list[Run]:
    """Failed runs that are the latest of their listing."""
    latest: dict[Any, Run] = {}
    runs = Run.objects.filter(version__listing__team=team, version__listing__archived_at__isnull=True)
    for run in runs.select_related("version__listing__team").order_by("-created_at")[:200]:
        latest.setdefault(run.version.listing_id, run)
    return [run for run in latest.values() if run.state == RunState.FAILED]


def _run_need(run: Run, stops: list[StepRow]) -> dict[str, Any]:
    ended = [row.attempt for row in stops if row.attempt is not None]
    shown = [problem for problem in map(show_problem, ended) if problem is not None]
    detail = shown[-1].title if shown else f"run {run.number}"
    return {"icon": "alert-octagon", "tone": "fail", "subject": str(run.version), "title": "failed", "detail": detail,
            "url": links.run(run), "action": "Open"}  # fmt: skip


def search(user: Any, text: str) -> list[dict[str, str]]:
    """Listings, versions and pages that ``text`` may mean."""
    teams = visible_teams(user)
    hits = [
        {"label": item.name, "hint": f"{item.get_kind_display()} · {item.team.name}", "url": links.listing(item),
         "icon": "package"}
        for item in Listing.objects.filter(team__in=teams, name__icontains=text).select_related("team")[:_HITS]
    ]  # fmt: skip
    if text:
        versions = Version.objects.filter(listing__team__in=teams).filter(
            Q(number__startswith=text) | Q(listing__name__icontains=text)
        )
        hits += [
            {"label": str(item), "hint": "Version", "url": links.version(item), "icon": "tag"}
            for item in versions.select_related("listing__team")[:_HITS]
        ]
        hits += _pages_of_listings(user, text)
    return hits + _actions(user, text)


def _pages_of_listings(user: Any, text: str) -> list[dict[str, str]]:
    """Where a listing is set up, found by the page's name as by the listing's."""
    rows = Listing.objects.filter(team__in=visible_teams(user), archived_at__isnull=True).select_related("team")
    hits, may_develop = [], cache(lambda team: bool(can(user, Permission.DEVELOP, team)))
    for item in rows[:_LISTINGS_ASKED]:
        args = [item.team.slug, item.slug]
        pages = [(f"Source of {item}", "listing_source", "git-branch"), (f"Webhooks of {item}", "webhooks", "webhook")]
        if may_develop(item.team):
            pages.append((f"New version of {item}", "version_new", "plus"))
        hits += [
            {"label": label, "hint": item.team.name, "url": reverse(name, args=args), "icon": icon}
            for label, name, icon in pages
            if text.lower() in label.lower()
        ]
    return hits[:_HITS]


def _actions(user: Any, text: str) -> list[dict[str, str]]:
    actions = [("New team", reverse("team_new"), "plus"), ("Notifications", reverse("notices"), "bell")]
    for team in visible_teams(user)[:3]:
        actions += [
            (f"Listings of {team}", reverse("listings", args=[team.slug]), "list"),
            (f"Releases of {team}", reverse("releases", args=[team.slug]), "rocket"),
            (f"Team {team}: members, invitations and AWS", reverse("team", args=[team.slug]), "users"),
            (f"Credentials of {team}", reverse("credentials", args=[team.slug]), "key"),
        ]
        if can(user, Permission.DEVELOP, team):
            actions.append((f"New listing in {team}", reverse("listing_new", args=[team.slug]), "plus"))
    if can(user, Permission.ADMIN):
        actions += [("Review queue", reverse("review"), "eye"), ("Policies", reverse("policies"), "gavel"),
                    ("Audit history", reverse("audit"), "history"),
                    ("Health", reverse("health"), "heartbeat")]  # fmt: skip
    return [
        {"label": label, "hint": "Go to", "url": url, "icon": icon}
        for label, url, icon in actions
        if text.lower() in label.lower()
    ]
