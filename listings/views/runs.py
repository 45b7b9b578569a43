"""A run in people's hands."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from listings import links
from listings.access import Permission, guarded
from listings.models import Team
from listings.services import runs, statuses
from listings.views.shared import act, run_of, version_of


@require_POST
@guarded(Permission.DEVELOP)
def cancel(request: HttpRequest, team: Team, listing: str, number: str, run: int) -> HttpResponse:
    found = run_of(version_of(team, listing, number), run)
    return act(request, links.run(found), lambda: runs.cancel_run(request.user, found), "The run is being cancelled.")


@require_POST
@guarded(Permission.DEVELOP)
def retry(request: HttpRequest, team: Team, listing: str, number: str, run: int, step: str) -> HttpResponse:
    found = run_of(version_of(team, listing, number), run)
    row = found.steps.filter(name=step).first()
    if row is None:
        raise Http404("No such step.")
    label = row.get_name_display()
    return act(request, links.run(found), lambda: runs.retry_step(request.user, row), f"{label} was queued again.")


@require_POST
@guarded(Permission.DEVELOP)
def again(request: HttpRequest, team: Team, listing: str, number: str) -> HttpResponse:
    version = version_of(team, listing, number)
    return act(request, links.version(version), lambda: runs.run_again(request.user, version), "A new run has started.")


@require_POST
@guarded(Permission.DEVELOP)
def report(request: HttpRequest, team: Team, listing: str, number: str, run: int) -> HttpResponse:
    """Tell the code host once more."""
    found = run_of(version_of(team, listing, number), run)
    verb = lambda: statuses.report_again(request.user, found)  # noqa: E731
    return act(request, links.run(found), verb, "The code host is told again.")
