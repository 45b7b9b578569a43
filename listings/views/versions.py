"""Versions: making one, looking at one and its runs."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from listings import links, queries, spec
from listings.access import Permission, can, guarded
from listings.forms.versions import HERE, VersionForm
from listings.models import Listing, Run, Team, Version
from listings.problems import ProblemError
from listings.services import versions
from listings.states import VersionState
from listings.views.shared import act, listing_of, run_of, sentences, version_of


@require_http_methods(["GET", "POST"])
@guarded(Permission.DEVELOP)
def new(request: HttpRequest, team: Team, listing: str) -> HttpResponse:
    """Make a version and start its run. What was typed and uploaded stays when something is wrong."""
    found = listing_of(team, listing)
    form = _new_form(request, found)
    if request.method == "POST" and form.is_valid() and not form.more:
        data = form.cleaned_data
        try:
            version = versions.create_version(
                request.user, found, number=data["number"], source=data["origin"], artifact=data["artifact"],
                spec=data["spec"], notes=data["notes"],
            )  # fmt: skip
            versions.submit_version(request.user, version)
            return redirect(links.version(version))
        except ProblemError as error:
            if error.code.startswith("VERSION"):
                form.add_error("number", sentences(error))
            else:
                form.add_problem(error)
    return _new_page(request, found, form)


@require_http_methods(["GET", "POST"])
@guarded(Permission.DEVELOP)
def spec_file(request: HttpRequest, team: Team, listing: str) -> HttpResponse:
    """The specification that was filled in, as ``slipway.yaml`` to keep with the source."""
    found = listing_of(team, listing)
    if request.method == "GET":  # somebody reloads the page that told of problems
        return redirect("version_new", team.slug, found.slug)
    form = _new_form(request, found, HERE)
    if form.spec_form.is_valid() and form.spec_form.spec is not None:
        answer = HttpResponse(form.spec_form.spec.to_yaml(), content_type="application/yaml; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="slipway.yaml"'
        return answer
    form.more = "spec"  # only the specification was asked about: the rest is not judged yet
    return _new_page(request, found, form, 422)


def _new_form(request: HttpRequest, listing: Listing, origin: str = "") -> VersionForm:
    """The form as it was sent, or a new one. ``origin``: what counts as specification, whatever was chosen."""
    if request.method == "POST":
        data = request.POST.copy()
        if origin:
            data["spec_origin"] = origin
        return VersionForm(data, request.FILES, listing=listing, user=request.user)
    return VersionForm(None, None, listing=listing, user=request.user, initial={"number": queries.next_number(listing)})


def _new_page(request: HttpRequest, listing: Listing, form: VersionForm, status: int = 0) -> HttpResponse:
    may_manage = can(request.user, Permission.MANAGE, listing.team)
    context = {"team": listing.team, "listing": listing, "form": form, "may_manage": may_manage}
    return render(request, "versions/new.html", context, status=status or (422 if form.errors else 200))


@require_GET
@guarded(Permission.SEE)
def version(request: HttpRequest, team: Team, listing: str, number: str) -> HttpResponse:
    found = version_of(team, listing, number)
    return _page(request, found, found.runs.order_by("-number").first())


@require_GET
@guarded(Permission.SEE)
def run(request: HttpRequest, team: Team, listing: str, number: str, run: int) -> HttpResponse:
    found = version_of(team, listing, number)
    return _page(request, found, run_of(found, run))


def _page(request: HttpRequest, found: Version, shown: Run | None) -> HttpResponse:
    return render(request, "versions/version.html", queries.version_page(request.user, found, shown))


@require_POST
@guarded(Permission.DEVELOP)
def submit(request: HttpRequest, team: Team, listing: str, number: str) -> HttpResponse:
    found = version_of(team, listing, number)
    return act(request, links.version(found), lambda: versions.submit_version(request.user, found))


@require_POST
@guarded(Permission.DEVELOP)
def delete(request: HttpRequest, team: Team, listing: str, number: str) -> HttpResponse:
    """Remove a draft."""
    found = version_of(team, listing, number)
    to = links.listing(found.listing) if found.state == VersionState.DRAFT else links.version(found)
    return act(request, to, lambda: versions.delete_draft(request.user, found), f"The draft {number} was removed.")


@require_GET
@guarded(Permission.PUBLIC)
def schema(request: HttpRequest) -> JsonResponse:
    """The JSON Schema of slipway.yaml, for editors."""
    return JsonResponse(spec.json_schema())
