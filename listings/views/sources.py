"""A listing's standing source: what webhooks build, and what the form for a new version starts from."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from listings import links, queries
from listings.access import Permission, guarded
from listings.forms.sources import StandingSourceForm, initial_of
from listings.models import Listing, SourceKind, Team
from listings.problems import ProblemError
from listings.services import standing_sources
from listings.views.shared import act, listing_of


@require_GET
@guarded(Permission.SEE)
def source(request: HttpRequest, team: Team, listing: str) -> HttpResponse:
    found = listing_of(team, listing)
    return _page(request, found, None)


def _page(request: HttpRequest, listing: Listing, form: StandingSourceForm | None) -> HttpResponse:
    context = queries.source_page(request.user, listing)
    standing = context["source"]
    if form is None:
        kept: dict[str, Any] = {"bundle": standing.bundle, "artifact": standing.artifact} if standing else {}
        initial = initial_of(standing) if standing else {"source_kind": SourceKind.GIT}
        form = StandingSourceForm(None, None, listing=listing, user=request.user, kept=kept, initial=initial)
    return render(request, "sources/source.html", context | {"form": form}, status=422 if form.errors else 200)


@require_POST
@guarded(Permission.DEVELOP)
def save(request: HttpRequest, team: Team, listing: str) -> HttpResponse:
    """What was typed and uploaded stays when something is wrong."""
    found = listing_of(team, listing)
    form = StandingSourceForm(request.POST, request.FILES, listing=found, user=request.user)
    if form.is_valid():
        data = form.cleaned_data
        try:
            standing_sources.save(
                request.user, found, data["origin"], artifact=data["artifact"], reporting=data["reporting"]
            )
            messages.success(request, "The source is saved. New versions start from it.")
            return redirect(links.source(found))
        except ProblemError as error:
            form.add_problem(error, reporting=True)
    return _page(request, found, form)


@require_POST
@guarded(Permission.DEVELOP)
def remove(request: HttpRequest, team: Team, listing: str) -> HttpResponse:
    found = listing_of(team, listing)
    done = "The standing source is removed; versions stay as they are."
    return act(request, links.source(found), lambda: standing_sources.remove(request.user, found), done)
