"""Pages for requests that went wrong. Wired in portal/urls.py."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token


def database_away(request: HttpRequest) -> HttpResponse:
    """503, drawn without the database."""
    page = render_to_string("503.html", {"request_id": request.META.get("slipway.request_id", "")})
    return HttpResponse(page, status=503, headers={"Retry-After": "10"})


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """Drawn without the database or a context processor: either may be what broke."""
    page = render_to_string("500.html", {"request_id": request.META.get("slipway.request_id", "")})
    return HttpResponse(page, status=500)
