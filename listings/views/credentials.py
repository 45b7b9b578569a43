"""A team's credentials: the list, making one, and one with its host keys, uses, rotation and removal."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from listings import links, queries
from listings.access import Permission, guarded
from listings.forms.credentials import CredentialForm, DeleteForm, KnownHostsForm, RotateForm
from listings.models import Credential, CredentialKind, Team
from listings.problems import ProblemError
from listings.services import credentials
from listings.views.shared import sentences

_FIELDS = {
    "CREDENTIAL-NAME": "name", "CREDENTIAL-USERNAME": "username", "CREDENTIAL-SECRET": "secret",
    "CREDENTIAL-NO-SECRET": "secret", "CREDENTIAL-KEY": "private_key", "CREDENTIAL-KNOWN-HOSTS": "known_hosts",
    "ADDRESS-HOST": "host", "ADDRESS-SECRET": "host",
}  # fmt: skip


@require_GET
@guarded(Permission.SEE)
def index(request: HttpRequest, team: Team) -> HttpResponse:
    return render(request, "credentials/index.html", queries.credentials_page(request.user, team))


@sensitive_post_parameters("secret", "private_key")
@require_http_methods(["GET", "POST"])
@guarded(Permission.MANAGE)
def new(request: HttpRequest, team: Team) -> HttpResponse:
    """Make a credential. What was typed stays when something is wrong, but for the secret."""
    kind = request.GET.get("kind", "")
    initial = {
        "kind": kind if kind in CredentialKind.values else CredentialKind.TOKEN,
        "host": request.GET.get("host", "")[:255],
    }
    form = CredentialForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            made = credentials.create(
                request.user, team, kind=CredentialKind(data["kind"]), name=data["name"], host=data["host"],
                username=data["username"], secret=form.given(data["kind"]), known_hosts=data["known_hosts"],
            )  # fmt: skip
            messages.success(request, _said(made, "is kept"))
            return redirect(links.credential(made))
        except ProblemError as error:
            _tell(form, error)
    return render(request, "credentials/new.html", {"team": team, "form": form}, status=422 if form.errors else 200)


def _said(credential: Credential, what: str) -> str:
    if credential.kind == CredentialKind.SSH_KEY:
        return f"{credential.name} {what}. Give its public key to {credential.host}."
    return f"{credential.name} {what}."


def _tell(form: Any, error: ProblemError) -> None:
    field = _FIELDS.get(error.code)
    form.add_error(field if field in form.fields else None, sentences(error))


def _credential(team: Team, credential: Any) -> Credential:
    found = Credential.objects.filter(team=team, pk=credential).select_related("team", "created_by").first()
    if found is None:
        raise Http404("No such credential.")
    return found


@require_GET
@guarded(Permission.SEE)
def credential(request: HttpRequest, team: Team, credential: Any) -> HttpResponse:
    return _page(request, _credential(team, credential))


def _page(request: HttpRequest, found: Credential, *, status: int = 200, **forms: Any) -> HttpResponse:
    context = queries.credential_page(request.user, found)
    context |= {
        "rotate_form": RotateForm(kind=found.kind),
        "hosts_form": KnownHostsForm(initial={"known_hosts": found.known_hosts}),
        "delete_form": DeleteForm(),
    }
    return render(request, "credentials/credential.html", context | forms, status=status)


@sensitive_post_parameters("secret", "private_key")
@require_POST
@guarded(Permission.MANAGE)
def rotate(request: HttpRequest, team: Team, credential: Any) -> HttpResponse:
    found = _credential(team, credential)
    form = RotateForm(request.POST, kind=found.kind)
    if form.is_valid():
        try:
            credentials.rotate(request.user, found, secret=form.given(found.kind))
            messages.success(request, _said(found, "has a new secret"))
            return redirect(links.credential(found))
        except ProblemError as error:
            _tell(form, error)
    return _page(request, _credential(team, credential), status=422, rotate_form=form)


@require_POST
@guarded(Permission.MANAGE)
def known_hosts(request: HttpRequest, team: Team, credential: Any) -> HttpResponse:
    found = _credential(team, credential)
    form = KnownHostsForm(request.POST)
    if form.is_valid():
        try:
            credentials.set_known_hosts(request.user, found, form.cleaned_data["known_hosts"])
            messages.success(request, f"The host keys of {found.host} are saved.")
            return redirect(links.credential(found))
        except ProblemError as error:
            _tell(form, error)
    return _page(request, _credential(team, credential), status=422, hosts_form=form)


@require_POST
@guarded(Permission.MANAGE)
def delete(request: HttpRequest, team: Team, credential: Any) -> HttpResponse:
    found = _credential(team, credential)
    form = DeleteForm(request.POST)
    form.is_valid()
    try:
        credentials.delete(request.user, found, although_used=form.cleaned_data["although_used"])
    except ProblemError as error:
        form.add_error("although_used", sentences(error))
        return _page(request, found, status=422, delete_form=form)
    messages.success(request, f"{found.name} is removed. Take it back at {found.host}, too.")
    return redirect("credentials", team.slug)
