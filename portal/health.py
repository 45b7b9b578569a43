"""What operators' machines ask: ``/healthz`` (this process is alive), ``/readyz`` (it can serve), ``/metrics``.

Answers to strangers hold codes and counts; hosts, paths and messages are on the admins' health page.
"""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from listings.access import Permission, guarded
from listings.services import dependencies
from portal import metrics


@require_safe
@guarded(Permission.PUBLIC)
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
@guarded(Permission.PUBLIC)
def readyz(request: HttpRequest) -> JsonResponse:
    """200 if the portal's own dependencies answer, else 503. What workers said of theirs is for information."""
    answers = dependencies.ask_all()
    ready = all(answers[name].ok for name in dependencies.OWN)
    body: dict[str, Any] = {
        "ready": ready,
        "dependencies": {
            name: {"ok": answers[name].ok, "reason": answers[name].code, "ms": answers[name].milliseconds}
            for name in dependencies.OWN
        },
        "workers": answers["workers"].told,
    }
    return JsonResponse(body, status=200 if ready else 503)


@require_safe
@never_cache
@guarded(Permission.PUBLIC)
def exposition(request: HttpRequest) -> HttpResponse:
    """Prometheus' format. Whoever sends the token gets it; without one set, this machine, and in production nobody."""
    if not _may_scrape(request):
        raise Http404("There are no metrics here.")
    body, content_type = metrics.exposition(request.headers.get("Accept", ""))
    return HttpResponse(body, content_type=content_type)


def _may_scrape(request: HttpRequest) -> bool:
    token = settings.SLIPWAY.metrics_token.get_secret_value()
    if token:
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        return hmac.compare_digest(given, f"Bearer {token}".encode())
    # Behind a proxy on this machine everybody would come from here.
    is_forwarded = any(name.startswith(("X-Forwarded", "Forwarded", "X-Real")) for name in request.headers)
    return not settings.SLIPWAY.is_production and not is_forwarded and _is_loopback(request.META["REMOTE_ADDR"])


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
