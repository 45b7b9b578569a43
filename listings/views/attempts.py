"""An attempt's log and a run's live ticket, for those who may see the team."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from listings.access import Permission, guarded
from listings.models import Attempt, Release, Run, Team
from listings.views import logs


def _attempt(team: Team, attempt: Any) -> Attempt:
    owned = Q(step__run__version__listing__team=team) | Q(step__release__version__listing__team=team)
    found = Attempt.objects.filter(owned, pk=attempt).select_related("step__run", "step__release", "log").first()
    if found is None:
        raise Http404("No such attempt.")
    return found


@require_GET
@guarded(Permission.SEE)
def log(request: HttpRequest, team: Team, attempt: Any) -> HttpResponse:
    """The log as text; ``?download=1`` to keep it."""
    return logs.raw(request, _attempt(team, attempt), download=request.GET.get("download") == "1")


@require_GET
@guarded(Permission.SEE)
def lines(request: HttpRequest, team: Team, attempt: Any) -> HttpResponse:
    return logs.lines(request, _attempt(team, attempt))


@require_GET
@guarded(Permission.SEE)
def search(request: HttpRequest, team: Team, attempt: Any) -> HttpResponse:
    return logs.search(request, _attempt(team, attempt))


@require_GET
@guarded(Permission.SEE)
def ticket(request: HttpRequest, team: Team, owner: Any) -> HttpResponse:
    """A ticket for the live stream of a run or release of this team."""
    owners = (
        Run.objects.filter(pk=owner, version__listing__team=team),
        Release.objects.filter(pk=owner, version__listing__team=team),
    )
    if not any(rows.exists() for rows in owners):
        raise Http404("No such run or release.")
    return logs.ticket(request, owner)
