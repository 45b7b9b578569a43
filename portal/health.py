"""``/healthz``: this process is alive."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from listings.access import Permission, guarded


@guarded(Permission.PUBLIC)
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")
