"""A user's notices."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from listings.access import Permission, guarded
from listings.models import Notice
from listings.services import notices

PAGE = 50


@require_GET
@guarded(Permission.SIGNED_IN)
def index(request: HttpRequest) -> HttpResponse:
    page = Paginator(Notice.objects.filter(user=request.user), PAGE).get_page(request.GET.get("page"))
    return render(request, "notices/index.html", {"page": page})


@require_GET
@guarded(Permission.SIGNED_IN)
def follow(request: HttpRequest, notice: Any) -> HttpResponse:
    """Mark one notice read and go where it leads."""
    found = Notice.objects.filter(user=request.user, pk=notice).first()
    if found is None:
        raise Http404("No such notice.")
    notices.mark_read(request.user, found.pk)
    return redirect(found.url)


@require_POST
@guarded(Permission.SIGNED_IN)
def read_all(request: HttpRequest) -> HttpResponse:
    notices.mark_read(request.user)
    return redirect("notices")
