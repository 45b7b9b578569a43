"""The audit history, for admins."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from listings.access import Permission, guarded
from listings.models import AuditEvent, Team

PAGE = 50
#: The nouns of ``noun.verb``, with the words of the filter.
KINDS = (
    ("release", "Releases"), ("waiver", "Waivers"), ("policy", "Policies"), ("version", "Versions"), ("run", "Runs"),
    ("step", "Steps"), ("listing", "Listings"), ("webhook", "Webhooks"), ("delivery", "Deliveries"),
    ("credential", "Credentials"), ("team", "Teams"), ("member", "Members"), ("invitation", "Invitations"),
    ("encryption_keys", "Encryption keys"),
)  # fmt: skip


@require_GET
@guarded(Permission.ADMIN)
def audit(request: HttpRequest) -> HttpResponse:
    """Filters: ``kind`` (a noun), ``team`` (a slug), ``q`` (in who, what and the act)."""
    events = AuditEvent.objects.all()
    kind, slug, text = (request.GET.get(name, "").strip() for name in ("kind", "team", "q"))
    teams = list(Team.objects.order_by("name"))
    if kind:
        events = events.filter(action__startswith=f"{kind}.")
    if slug:
        events = events.filter(team_id__in=[team.pk for team in teams if team.slug == slug])
    if text:
        events = events.filter(Q(subject__icontains=text) | Q(actor_label__icontains=text) | Q(action__icontains=text))
    page = Paginator(events, PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page, "kind": kind, "q": text, "slug": slug, "kinds": KINDS, "teams": teams,
        "team_names": {team.pk: team.name for team in teams}, "filtered": bool(kind or slug or text),
    }  # fmt: skip
    return render(request, "audit/audit.html", context)
