"""Releases: the list, the page of one, and what a team does with it."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from listings import links, queries
from listings.access import Permission, guarded
from listings.models import Release, Team
from listings.problems import ProblemError
from listings.services import releases
from listings.views.shared import act, release_of, version_of

PAGE = 50


@require_GET
@guarded(Permission.SEE)
def index(request: HttpRequest, team: Team) -> HttpResponse:
    page = Paginator(queries.releases_of(team), PAGE).get_page(request.GET.get("page"))
    return render(request, "releases/index.html", {"team": team, "page": page})


@require_GET
@guarded(Permission.SEE)
def release(request: HttpRequest, team: Team, release: Any) -> HttpResponse:
    return release_page(request, release_of(release, team))


def release_page(request: HttpRequest, found: Release, *, status: int = 200, **extra: Any) -> HttpResponse:
    """The page of one release; ``extra`` carries what was typed and the problem it met."""
    context = queries.release_page(request.user, found) | extra
    return render(request, "releases/release.html", context, status=status)


@require_http_methods(["GET", "POST"])
@guarded(Permission.RELEASE)
def request_release(request: HttpRequest, team: Team, listing: str, number: str) -> HttpResponse:
    version = version_of(team, listing, number)
    comment, problem = request.POST.get("comment", ""), None
    if request.method == "POST":
        try:
            return redirect(links.release(releases.request_release(request.user, version, comment)))
        except ProblemError as error:
            problem = error
    context = queries.release_request_page(version) | {"team": team, "comment": comment, "problem": problem}
    return render(request, "releases/request.html", context, status=422 if problem else 200)


@require_POST
@guarded(Permission.DISCUSS)
def comment(request: HttpRequest, team: Team, release: Any) -> HttpResponse:
    found, body = release_of(release, team), request.POST.get("body", "")
    try:
        releases.comment_on(request.user, found, body)
    except ProblemError as error:
        return release_page(request, found, comment_error=error, body=body, status=422)
    return redirect(links.release(found) + "#discussion")


@require_POST
@guarded(Permission.RELEASE)
def resubmit(request: HttpRequest, team: Team, release: Any) -> HttpResponse:
    found, text = release_of(release, team), request.POST.get("comment", "")
    try:
        releases.resubmit(request.user, found, text)
    except ProblemError as error:
        return release_page(request, release_of(release, team), decision_error=error, comment=text, status=422)
    return act(request, links.release(found), lambda: None, "Review was asked for again.")


@require_POST
@guarded(Permission.SEE)
def withdraw(request: HttpRequest, team: Team, release: Any) -> HttpResponse:
    """Members need the role releaser; admins may withdraw, too. The service decides."""
    found, reason = release_of(release, team), request.POST.get("reason", "")
    try:
        releases.withdraw(request.user, found, reason)
    except ProblemError as error:
        return release_page(request, release_of(release, team), decision_error=error, reason=reason, status=422)
    return act(request, links.release(found), lambda: None, "The release was withdrawn.")
