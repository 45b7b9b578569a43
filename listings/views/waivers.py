"""A team's waivers: the list, and asking for one."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from listings import links, queries
from listings.access import Permission, guarded
from listings.forms.review import WaiverRequestForm
from listings.models import Team, Version
from listings.problems import ProblemError
from listings.services import waivers
from listings.views.shared import sentences, version_of


@require_GET
@guarded(Permission.SEE)
def index(request: HttpRequest, team: Team) -> HttpResponse:
    return render(request, "waivers/index.html", {"team": team, "waivers": queries.waivers_of(team)})


def _back(request: HttpRequest, version: Version) -> str:
    """``next`` if it is a path of this site, else the version's page."""
    given = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(given, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return given if safe and given else links.version(version)


@require_POST
@guarded(Permission.DEVELOP)
def ask(request: HttpRequest, team: Team, listing: str, number: str) -> HttpResponse:
    """Ask, and go back. A request that is refused is shown again with what was typed."""
    version, form = version_of(team, listing, number), WaiverRequestForm(request.POST)
    back = _back(request, version)
    if form.is_valid():
        try:
            waivers.ask(request.user, version, **form.cleaned_data)
        except ProblemError as error:
            form.add_error(None, sentences(error))
        else:
            messages.success(request, "The admins were asked. You are told here and by mail what they decide.")
            return redirect(back)
    context = {
        "team": team, "version": version, "listing": version.listing, "form": form, "back": back,
        "subject": request.POST.get("subject", ""), "code": request.POST.get("code", ""),
    }  # fmt: skip
    return render(request, "waivers/ask.html", context, status=422)
