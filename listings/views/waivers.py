"""A team's waivers: the list, and asking for one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from listings import links, queries
from listings.access import Permission, guarded
from listings.models import Team
from listings.services import waivers
from listings.views.shared import act, version_of


@require_GET
@guarded(Permission.SEE)
def index(request: HttpRequest, team: Team) -> HttpResponse:
    return render(request, "waivers/index.html", {"team": team, "waivers": queries.waivers_of(team)})


@require_POST
@guarded(Permission.DEVELOP)
def ask(request: HttpRequest, team: Team, listing: str, number: str) -> HttpResponse:
    version, sent = version_of(team, listing, number), request.POST
    return act(
        request,
        links.version(version),
        lambda: waivers.ask(
            request.user, version, code=sent.get("code", ""), subject=sent.get("subject", ""),
            reason=sent.get("reason", ""),
        ),
        "The admins were asked.",
    )  # fmt: skip
