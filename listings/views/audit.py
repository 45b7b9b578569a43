"""The audit history, for admins."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from listings.access import Permission, guarded
from listings.models import AuditEvent

PAGE = 50


@require_GET
@guarded(Permission.ADMIN)
def audit(request: HttpRequest) -> HttpResponse:
    events = AuditEvent.objects.select_related("actor")
    action, text = request.GET.get("action", ""), request.GET.get("q", "")
    if action:
        events = events.filter(action__startswith=action)
    if text:
        events = events.filter(subject__icontains=text) | events.filter(actor_label__icontains=text)
    page = Paginator(events, PAGE).get_page(request.GET.get("page"))
    return render(request, "audit/audit.html", {"page": page, "action": action, "q": text})
