"""Home: what needs me; search."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from listings import queries
from listings.access import Permission, guarded
from listings.models import Team


@require_GET
@guarded(Permission.SIGNED_IN)
def home(request: HttpRequest) -> HttpResponse:
    """The last visited team's home; without a team, the way to the first one."""
    return render(request, "home/home.html", queries.home(request.user, queries.current_team(request)))


@require_GET
@guarded(Permission.SEE)
def team_home(request: HttpRequest, team: Team) -> HttpResponse:
    return render(request, "home/home.html", queries.home(request.user, team))


@require_GET
@guarded(Permission.SIGNED_IN)
def search(request: HttpRequest) -> HttpResponse:
    """The palette without scripts."""
    text = request.GET.get("q", "")
    return render(request, "home/search.html", {"q": text, "hits": queries.search(request.user, text)})


@require_GET
@guarded(Permission.SIGNED_IN)
def palette(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"hits": queries.search(request.user, request.GET.get("q", ""))})
