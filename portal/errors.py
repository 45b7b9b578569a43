"""Pages for requests that went wrong. Wired in portal/urls.py."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """Drawn without the database or a context processor: either may be what broke."""
    page = render_to_string("500.html", {"request_id": request.META.get("slipway.request_id", "")})
    return HttpResponse(page, status=500)
