"""What every page's frame shows: theme, team switcher, navigation, unread notices. Queried only if it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from listings.access import Permission, can, visible_teams
from listings.models import Notice, Release, Team, Waiver
from listings.states import RELEASE_OPEN, ReleaseState
from portal.accounts.conf import THEME_COOKIE
from portal.accounts.models import Theme

SESSION_TEAM = "team"


@dataclass(frozen=True, slots=True)
class NavItem:
    """``go`` is the second key of its ``g`` shortcut; ``split`` draws a line before it; ``also`` begins addresses of
    other pages that belong to it.
    """

    key: str
    label: str
    url: str
    count: int = 0
    go: str = ""
    split: bool = False
    also: str = ""


def chosen_theme(request: HttpRequest) -> str:
    """auto, light or dark: the cookie first, as it is newest on this device; then the account."""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    # A request refused early, such as for its Host, has no user yet; its error page has a theme all the same.
    user = getattr(request, "user", None)
    if theme not in Theme.values and user is not None and user.is_authenticated:
        theme = user.theme
    return theme if theme in Theme.values else Theme.AUTO


def current_team(request: HttpRequest, teams: list[Team]) -> Team | None:
    """The team in the address, else the last one visited, else the first."""
    match = request.resolver_match
    slug = match.kwargs.get("team") if match else None
    if isinstance(slug, Team):
        slug = slug.slug
    by_slug = {team.slug: team for team in teams}
    if slug in by_slug:
        if request.session.get(SESSION_TEAM) != slug:
            request.session[SESSION_TEAM] = slug
        return by_slug[slug]
    remembered = by_slug.get(request.session.get(SESSION_TEAM, ""))
    return remembered or (teams[0] if teams else None)


def _item(key: str, label: str, name: str, *args: str, **more: Any) -> NavItem:
    return NavItem(key, label, reverse(name, args=args), **more)


def navigation(request: HttpRequest, team: Team | None) -> list[NavItem]:
    items = [_item("home", "Home", "home", go="h")]
    if team is not None:
        open_releases = Release.objects.filter(version__listing__team=team, state__in=RELEASE_OPEN).count()
        items += [
            _item("listings", "Listings", "listings", team.slug, go="l"),
            _item("releases", "Releases", "releases", team.slug, go="r", count=open_releases),
            _item("waivers", "Waivers", "waivers", team.slug, go="w"),
            _item("team", "Team", "team", team.slug, go="t", also=reverse("credentials", args=[team.slug])),
        ]
    if can(request.user, Permission.ADMIN):
        waiting = (
            Release.objects.filter(state=ReleaseState.IN_REVIEW).count()
            + Waiver.objects.filter(granted_at=None, refused_at=None, revoked_at=None).count()
        )
        items += [
            _item("review", "Review", "review", count=waiting, split=True, go="q"),
            _item("policies", "Policies", "policies", go="p"),
            _item("audit", "Audit", "audit", go="a"),
            _item("health", "Health", "health", go="s"),
        ]
    return items


class Shell:
    """Read by the base template; each part is worked out once, when first asked for."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.theme = chosen_theme(request)
        self.is_demo = settings.SLIPWAY.is_demo
        self.teams: Any = SimpleLazyObject(lambda: list(visible_teams(request.user).order_by("name")[:50]))
        self.team: Any = SimpleLazyObject(lambda: current_team(request, self.teams))
        self.nav: Any = SimpleLazyObject(lambda: navigation(request, self.team or None))
        self.unread: Any = SimpleLazyObject(lambda: Notice.objects.filter(user=request.user.pk, read_at=None).count())

    @property
    def section(self) -> str:
        """Key of the navigation item whose address is the longest beginning of this page's."""
        path = self._request.path
        for item in self.nav:
            if item.also and path.startswith(item.also):
                return str(item.key)
        under = [item for item in self.nav if path.startswith(item.url) and (item.url != "/" or path == "/")]
        return max(under, key=lambda item: len(item.url)).key if under else ""


def shell(request: HttpRequest) -> dict[str, Any]:
    return {"shell": Shell(request)}
