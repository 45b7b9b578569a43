"""Listings: the list, one with its versions, making and changing one, and starter files."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from listings import links, queries, starters
from listings.access import Permission, guarded
from listings.forms.listings import ListingForm
from listings.models import Kind, Team
from listings.problems import ProblemError
from listings.services import listings as service
from listings.views.shared import act, listing_of, sentences


@require_GET
@guarded(Permission.SEE)
def index(request: HttpRequest, team: Team) -> HttpResponse:
    archived = request.GET.get("archived") == "1"
    return render(request, "listings/index.html", queries.listings_of(request.user, team, archived=archived))


@require_GET
@guarded(Permission.SEE)
def listing(request: HttpRequest, team: Team, listing: str) -> HttpResponse:
    found = listing_of(team, listing)
    return render(request, "listings/listing.html", queries.listing_page(request.user, found, request.GET.get("page")))


@require_http_methods(["GET", "POST"])
@guarded(Permission.DEVELOP)
def new(request: HttpRequest, team: Team) -> HttpResponse:
    form = ListingForm(request.POST or None, initial={"kind": request.GET.get("kind", Kind.ALGORITHM)})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            made = service.create_listing(
                request.user, team, kind=Kind(data["kind"]), name=data["name"], summary=data["summary"],
                product_id=data["product_id"], key=data["key"],
            )  # fmt: skip
            return redirect(links.listing(made))
        except ProblemError as error:
            form.add_error("product_id", sentences(error))
    return render(request, "listings/new.html", {"team": team, "form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@guarded(Permission.DEVELOP)
def edit(request: HttpRequest, team: Team, listing: str) -> HttpResponse:
    found = listing_of(team, listing)
    initial = {name: getattr(found, name) for name in ("kind", "name", "summary", "product_id")}
    form = ListingForm(request.POST or None, initial=initial)
    form.fields["kind"].disabled = True
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            service.update_listing(
                request.user, found, name=data["name"], summary=data["summary"], product_id=data["product_id"]
            )
            return redirect(links.listing(found))
        except ProblemError as error:
            form.add_error("product_id", sentences(error))
    context = {"team": team, "listing": found, "form": form}
    return render(request, "listings/edit.html", context, status=422 if form.errors else 200)


@require_POST
@guarded(Permission.RELEASE)
def archive(request: HttpRequest, team: Team, listing: str) -> HttpResponse:
    found = listing_of(team, listing)
    return act(request, links.listing(found), lambda: service.archive_listing(request.user, found), "Archived.")


@require_POST
@guarded(Permission.RELEASE)
def restore(request: HttpRequest, team: Team, listing: str) -> HttpResponse:
    found = listing_of(team, listing)
    return act(request, links.listing(found), lambda: service.restore_listing(request.user, found), "Restored.")


@require_GET
@guarded(Permission.SIGNED_IN)
def starter(request: HttpRequest, kind: str, name: str) -> HttpResponse:
    """A starter file, or all of them as ``starter.zip``."""
    if kind not in Kind.values:
        raise Http404("No such kind.")
    try:
        content = starters.starter_zip(Kind(kind)) if name == "starter.zip" else starters.starter_file(Kind(kind), name)
    except KeyError:
        raise Http404("No such starter file.") from None
    response = HttpResponse(content, content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{name.rpartition("/")[2]}"'
    return response
