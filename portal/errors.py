"""Pages for requests that went wrong. Wired in portal/urls.py."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
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
