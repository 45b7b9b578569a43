"""Pages for requests that went wrong. Wired in portal/urls.py."""

from __future__ import annotations

import sys

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import resolve
from django.views.decorators.csrf import requires_csrf_token

from listings import mishaps


def database_away(request: HttpRequest) -> HttpResponse:
    """503, drawn without the database."""
    page = render_to_string("503.html", {"request_id": request.META.get("slipway.request_id", "")})
    return HttpResponse(page, status=503, headers={"Retry-After": "10"})


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """Drawn without the database or a context processor: either may be what broke."""
    broke = sys.exc_info()[1]
    mishap = mishaps.problem_of(broke) if broke is not None else None
    if mishap is not None and mishap.code == "PLATFORM-DATABASE-AWAY":
        return database_away(request)
    page = render_to_string("500.html", {"request_id": request.META.get("slipway.request_id", "")})
    return HttpResponse(page, status=500)


def not_allowed(request: HttpRequest, allowed: str) -> HttpResponse:
    """405 for a person: a button's address was opened, as after signing in again or a reload."""
    page = render(request, "405.html", {"above": _above(request.path)}, status=405)
    page["Allow"] = allowed
    return page


def _above(path: str) -> str:
    """The nearest address above ``path`` that there is."""
    while (path := path.rstrip("/").rpartition("/")[0] + "/") != "/":
        try:
            resolve(path)
        except Http404:
            continue
        return path
    return path
