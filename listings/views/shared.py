"""What views have in common: finding things within a team, and answering problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from listings import problems
from listings.models import Listing, Release, Run, Team, Version
from listings.problems import ProblemError


def listing_of(team: Team, slug: str) -> Listing:
    """The team's listing. Raises Http404."""
    found = Listing.objects.filter(team=team, slug=slug).select_related("team").first()
    if found is None:
        raise Http404("No such listing.")
    return found


def version_of(team: Team, slug: str, number: str) -> Version:
    """A version of the team's listing. Raises Http404."""
    rows = Version.objects.filter(listing__team=team, listing__slug=slug, number=number)
    found = rows.select_related("listing__team", "source__blob", "artifact__blob", "credential", "author").first()
    if found is None:
        raise Http404("No such version.")
    return found


def run_of(version: Version, number: int) -> Run:
    """A run of the version. Raises Http404."""
    found = Run.objects.filter(version=version, number=number).select_related("version__listing__team").first()
    if found is None:
        raise Http404("No such run.")
    return found


def release_of(release: Any, team: Team | None = None) -> Release:
    """A release, of ``team`` if given. Raises Http404."""
    rows = Release.objects.filter(pk=release)
    if team is not None:
        rows = rows.filter(version__listing__team=team)
    found = rows.select_related(
        "version__listing__team", "version__author", "run", "requested_by", "approved_by", "published_by"
    ).first()
    if found is None:
        raise Http404("No such release.")
    return found


def sentences(error: ProblemError) -> str:
    """A problem as one line: title, cause, evidence, remedy, code."""
    problem, report = problems.get(error.code), error.report
    cause = problems.fill(problem.cause, report.params)
    remedy = problems.fill(problem.remedy, report.params)
    return f"{problem.title}. {cause} {remedy} ({problem.code})"


def act(request: HttpRequest, to: str, verb: Callable[[], object], done: str = "") -> HttpResponse:
    """Run a verb and go to the page ``to``; a problem is told there. For forms without text to keep."""
    try:
        verb()
    except ProblemError as error:
        messages.error(request, sentences(error))
    else:
        if done:
            messages.success(request, done)
    return redirect(to)
