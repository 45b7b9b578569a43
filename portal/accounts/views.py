"""The signed-in user's own pages, and the demo's outbox."""

from __future__ import annotations

import re

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from listings.access import Permission, guarded
from portal.accounts.conf import THEME_COOKIE
from portal.accounts.forms import ProfileForm, ThemeForm
from portal.accounts.models import OutgoingMail, User

_YEAR = 365 * 24 * 3600
_LINK = re.compile(r"https?://[^\s<>\"]+")


def _remember_theme(response: HttpResponse, theme: str) -> None:
    response.set_cookie(
        THEME_COOKIE, theme, max_age=_YEAR, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE, httponly=True
    )


@guarded(Permission.SIGNED_IN)
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    form = ProfileForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        user = form.save()
        messages.success(request, "Profile saved.")
        response: HttpResponse = redirect("account_profile")
        _remember_theme(response, user.theme)
        return response
    return render(request, "account/profile.html", {"form": form}, status=422 if form.errors else 200)


@require_POST
@guarded(Permission.PUBLIC)
def theme(request: HttpRequest) -> HttpResponse:
    """Light, dark or as the device: kept in a cookie, and for a signed-in user in the account too."""
    form = ThemeForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest("theme must be auto, light or dark", content_type="text/plain")
    chosen = form.cleaned_data["theme"]
    if isinstance(request.user, User):
        User.objects.filter(pk=request.user.pk).update(theme=chosen)
    back = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = "/"
    response = HttpResponse(status=204) if request.headers.get("X-Requested-With") == "fetch" else redirect(back)
    _remember_theme(response, chosen)
    return response


@require_safe
@guarded(Permission.PUBLIC)
def outbox(request: HttpRequest) -> HttpResponse:
    """Every mail the demo kept. Open to everyone there, as sign-up needs its verification mail; absent elsewhere."""
    if not settings.SLIPWAY.is_demo:
        raise Http404
    page = Paginator(OutgoingMail.objects.all(), 25).get_page(request.GET.get("page"))
    mails = [{"mail": mail, "links": _LINK.findall(mail.body)} for mail in page]
    return render(request, "account/outbox.html", {"page": page, "mails": mails})
