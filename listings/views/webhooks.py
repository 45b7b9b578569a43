"""Webhooks: the address that others post to, and the pages of those who own it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from listings import links
from listings.access import Permission, guarded
from listings.forms.webhooks import WebhookForm
from listings.models import Delivery, Provider, Team, Webhook
from listings.problems import ProblemError
from listings.queries import webhooks as shown
from listings.services import deliveries, webhooks
from listings.views.shared import act, listing_of, sentences


@csrf_exempt
@guarded(Permission.PUBLIC)
def receive(request: HttpRequest, webhook: Any) -> HttpResponse:
    """Take one delivery in. Whoever sends proves it by the signature; all answers are JSON."""
    if request.method != "POST":
        answer = _refuse(405, ProblemError("HOOK-METHOD", method=request.method or ""))
        answer["Allow"] = "POST"
        return answer
    found = Webhook.objects.filter(pk=webhook).select_related("listing__team").first()
    if found is None:
        return _refuse(404, ProblemError("HOOK-UNKNOWN"))
    headers = {name.lower(): value for name, value in request.headers.items()}
    limit = int(settings.SLIPWAY.webhook_max_bytes)
    body = request.read(limit + 1)
    if len(body) > limit:
        return JsonResponse(deliveries.refuse_too_large(str(found.pk), headers), status=413)
    try:
        made = deliveries.receive(found, headers, body)
    except ProblemError as error:
        return _refuse(503, error)
    return JsonResponse(deliveries.answer(made), status=made[0].status)


#: The body is read as it comes: middleware must not parse it before its signature is known.
receive.raw_body = True  # type: ignore[attr-defined]


def _refuse(status: int, error: ProblemError) -> JsonResponse:
    return JsonResponse(deliveries.refusal(error), status=status)


def _webhook(team: Team, listing: str, webhook: Any) -> Webhook:
    rows = Webhook.objects.filter(pk=webhook, listing__team=team, listing__slug=listing)
    found = rows.select_related("listing__team", "created_by").first()
    if found is None:
        raise Http404("No such webhook.")
    return found


@require_GET
@guarded(Permission.SEE)
def index(request: HttpRequest, team: Team, listing: str) -> HttpResponse:
    return render(request, "webhooks/index.html", shown.webhooks_of(request.user, listing_of(team, listing)))


@never_cache
@require_http_methods(["GET", "POST"])
@guarded(Permission.RELEASE)
def new(request: HttpRequest, team: Team, listing: str) -> HttpResponse:
    """Make a webhook. Its secret stands in the answer to this very request, and nowhere after."""
    found = listing_of(team, listing)
    form = WebhookForm(request.POST or None, initial=shown.suggested(found, request.GET.get("provider", "")))
    if request.method == "POST" and form.is_valid():
        try:
            provider = Provider(form.cleaned_data["provider"])
            key = form.cleaned_data["key"]
            webhook, secret = webhooks.create_webhook(request.user, found, provider, form.wanted(), key=key)
            return _secret_page(request, webhook, secret, made=True)
        except ProblemError as error:
            made = found.webhooks.filter(pk=form.cleaned_data["key"]).first() if error.code == "HOOK-MADE" else None
            if made is not None:
                messages.info(request, sentences(error))
                return redirect(links.webhook(made))
            form.add_error(form.field_of(error), sentences(error))
    context = {"team": team, "listing": found, "form": form, **shown.source_part(found)}
    return render(request, "webhooks/new.html", context, status=422 if form.errors else 200)


def _secret_page(request: HttpRequest, webhook: Webhook, secret: str, *, made: bool) -> HttpResponse:
    context = shown.set_up_part(webhook) | {"secret": secret, "made": made}
    return render(request, "webhooks/secret.html", context, status=201 if made else 200)


@require_GET
@guarded(Permission.SEE)
def webhook(request: HttpRequest, team: Team, listing: str, webhook: Any) -> HttpResponse:
    found = _webhook(team, listing, webhook)
    context = shown.webhook_page(request.user, found, request.GET.get("decision", ""), request.GET.get("page"))
    return render(request, "webhooks/webhook.html", context)


@require_http_methods(["GET", "POST"])
@guarded(Permission.RELEASE)
def edit(request: HttpRequest, team: Team, listing: str, webhook: Any) -> HttpResponse:
    found = _webhook(team, listing, webhook)
    form = WebhookForm(request.POST or None, initial=shown.as_typed(found))
    form.fields["provider"].disabled = True
    if request.method == "POST" and form.is_valid():
        try:
            webhooks.update_webhook(request.user, found, form.wanted())
            return redirect(links.webhook(found))
        except ProblemError as error:
            form.add_error(form.field_of(error), sentences(error))
    context = {"team": team, "listing": found.listing, "webhook": found, "form": form}
    return render(request, "webhooks/edit.html", context, status=422 if form.errors else 200)


@require_POST
@guarded(Permission.RELEASE)
def enable(request: HttpRequest, team: Team, listing: str, webhook: Any) -> HttpResponse:
    found = _webhook(team, listing, webhook)
    return act(request, links.webhook(found), lambda: webhooks.set_enabled(request.user, found, True), "Enabled.")


@require_POST
@guarded(Permission.RELEASE)
def disable(request: HttpRequest, team: Team, listing: str, webhook: Any) -> HttpResponse:
    found = _webhook(team, listing, webhook)
    return act(request, links.webhook(found), lambda: webhooks.set_enabled(request.user, found, False), "Disabled.")


@never_cache
@require_POST
@guarded(Permission.RELEASE)
def rotate(request: HttpRequest, team: Team, listing: str, webhook: Any) -> HttpResponse:
    found = _webhook(team, listing, webhook)
    try:
        secret = webhooks.rotate_secret(request.user, found, mark=request.POST.get("mark", ""))
    except ProblemError as error:
        messages.info(request, sentences(error))
        return redirect(links.webhook(found))
    return _secret_page(request, found, secret, made=False)


@require_POST
@guarded(Permission.RELEASE)
def end_previous(request: HttpRequest, team: Team, listing: str, webhook: Any) -> HttpResponse:
    found = _webhook(team, listing, webhook)
    done = "Only the current secret is valid now."
    return act(request, links.webhook(found), lambda: webhooks.end_previous_secret(request.user, found), done)


@require_POST
@guarded(Permission.RELEASE)
def delete(request: HttpRequest, team: Team, listing: str, webhook: Any) -> HttpResponse:
    found = _webhook(team, listing, webhook)
    to = shown.index_url(found.listing)
    return act(request, to, lambda: webhooks.delete_webhook(request.user, found), "The webhook was deleted.")


@require_POST
@guarded(Permission.DEVELOP)
def test(request: HttpRequest, team: Team, listing: str, webhook: Any) -> HttpResponse:
    found = _webhook(team, listing, webhook)
    return _made(request, found, lambda: deliveries.send_test(request.user, found))


def _made(request: HttpRequest, found: Webhook, verb: Any) -> HttpResponse:
    """Go to the delivery that ``verb`` makes; a problem is told on the webhook's page."""
    try:
        return redirect(links.delivery(verb()))
    except ProblemError as error:
        messages.error(request, sentences(error))
        return redirect(links.webhook(found))


def _delivery(team: Team, listing: str, webhook: Any, delivery: Any) -> Delivery:
    rows = Delivery.objects.filter(pk=delivery, webhook=_webhook(team, listing, webhook))
    found = rows.select_related(
        "webhook__listing__team", "version__listing__team", "run__version__listing__team", "replay_of", "replayed_by",
        "body",
    ).first()  # fmt: skip
    if found is None:
        raise Http404("No such delivery.")
    return found


@require_GET
@guarded(Permission.SEE)
def delivery(request: HttpRequest, team: Team, listing: str, webhook: Any, delivery: Any) -> HttpResponse:
    found = _delivery(team, listing, webhook, delivery)
    return render(request, "webhooks/delivery.html", shown.delivery_page(request.user, found))


@require_POST
@guarded(Permission.DEVELOP)
def replay(request: HttpRequest, team: Team, listing: str, webhook: Any, delivery: Any) -> HttpResponse:
    found = _delivery(team, listing, webhook, delivery)
    return _made(request, found.webhook, lambda: deliveries.replay(request.user, found))
