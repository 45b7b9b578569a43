"""The admins' health page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from listings.access import Permission, guarded
from listings.queries.health import health_page


@require_safe
@guarded(Permission.ADMIN)
def health(request: HttpRequest) -> HttpResponse:
    """Asked again every ten seconds by the page itself."""
    return render(request, "health/health.html", health_page())
