"""What admins decide. Texts that were typed stay in the form when a decision is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from listings import links, queries
from listings.access import Permission, guarded
from listings.forms.review import ReasonForm, WaiverForm
from listings.models import Release, Waiver
from listings.problems import ProblemError
from listings.services import releases, waivers
from listings.views.releases import release_page
from listings.views.shared import act, release_of, sentences


def _queue(request: HttpRequest, *, status: int = 200, **extra: Any) -> HttpResponse:
    """The queue; ``extra`` names the waiver whose form stays open, and the form with its errors."""
    context = queries.review_queue(request.user) | {"default_days": WaiverForm().fields["days"].initial} | extra
    return render(request, "review/index.html", context, status=status)


@require_GET
@guarded(Permission.ADMIN)
def index(request: HttpRequest) -> HttpResponse:
    return _queue(request)


def _decide(request: HttpRequest, release_id: Any, verb: Callable[..., None], done: str) -> HttpResponse:
    release, comment = release_of(release_id), request.POST.get("comment", "")
    try:
        verb(request.user, release, comment)
    except ProblemError as error:
        return release_page(request, release_of(release_id), decision_error=error, comment=comment, status=422)
    return act(request, links.release(release), lambda: None, done)


@require_POST
@guarded(Permission.ADMIN)
def approve(request: HttpRequest, release: Any) -> HttpResponse:
    return _decide(request, release, releases.approve, "Approved. Slipway registers it with SageMaker now.")


@require_POST
@guarded(Permission.ADMIN)
def ask_for_changes(request: HttpRequest, release: Any) -> HttpResponse:
    return _decide(request, release, releases.ask_for_changes, "The team was told what to change.")


def _resume(user: Any, release: Release, _comment: str) -> None:
    releases.resume_registration(user, release)


def _publish(user: Any, release: Release, _comment: str) -> None:
    releases.publish(user, release)


@require_POST
@guarded(Permission.ADMIN)
def resume(request: HttpRequest, release: Any) -> HttpResponse:
    return _decide(request, release, _resume, "Registering was resumed.")


@require_POST
@guarded(Permission.ADMIN)
def publish(request: HttpRequest, release: Any) -> HttpResponse:
    return _decide(request, release, _publish, "Publishing has started.")


def _waiver(waiver: Any) -> Waiver:
    found = Waiver.objects.filter(pk=waiver).select_related("team", "version__listing").first()
    if found is None:
        raise Http404("No such waiver.")
    return found


@require_POST
@guarded(Permission.ADMIN)
def grant_waiver(request: HttpRequest, waiver: Any) -> HttpResponse:
    found, form = _waiver(waiver), WaiverForm(request.POST)
    if form.is_valid():
        data = form.cleaned_data
        expires = timezone.now() + timedelta(days=data["days"])
        try:
            waivers.grant(request.user, found, reason=data["reason"], expires_at=expires, whole_team=data["whole_team"])
        except ProblemError as error:
            form.add_error(None, sentences(error))
        else:
            return act(request, "review", lambda: None, f"{found.subject} is waived until {expires:%Y-%m-%d}.")
    return _queue(request, form=form, open=found, status=422)


def _settle(request: HttpRequest, waiver: Any, verb: Callable[..., None], done: str) -> HttpResponse:
    found, form = _waiver(waiver), ReasonForm(request.POST)
    if form.is_valid():
        try:
            verb(request.user, found, reason=form.cleaned_data["reason"])
        except ProblemError as error:
            form.add_error(None, sentences(error))
        else:
            return act(request, "review", lambda: None, done)
    return _queue(request, form=form, open=found, status=422)


@require_POST
@guarded(Permission.ADMIN)
def refuse_waiver(request: HttpRequest, waiver: Any) -> HttpResponse:
    return _settle(request, waiver, waivers.refuse, "The waiver was refused.")


@require_POST
@guarded(Permission.ADMIN)
def revoke_waiver(request: HttpRequest, waiver: Any) -> HttpResponse:
    return _settle(request, waiver, waivers.revoke, "The waiver was revoked.")
