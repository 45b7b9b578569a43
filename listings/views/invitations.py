"""Invitations: an owner sends, sends again and takes back; the invited looks and accepts."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from listings.access import Permission, guarded
from listings.forms.teams import InvitationForm
from listings.models import Invitation, Role, Team
from listings.problems import ProblemError
from listings.services import invitations as service
from listings.views.shared import act, sentences
from listings.views.teams import page

#: Where a session remembers the link through sign-up, confirmation and sign-in.
SESSION_INVITATION = "invitation"


@require_POST
@guarded(Permission.MANAGE)
def invite(request: HttpRequest, team: Team) -> HttpResponse:
    """Answers alike whether or not the address has an account."""
    form = InvitationForm(request.POST)
    if form.is_valid():
        email, role = form.cleaned_data["email"], Role(form.cleaned_data["role"])
        try:
            made = service.invite(request.user, team, email, role)
        except ProblemError as error:
            form.add_error("email", sentences(error))
        else:
            messages.success(request, f"{made.email} was invited. The link is among the invitations, too.")
            return redirect(f"{reverse('team', args=[team.slug])}#invitations")
    return page(request, team, invitation_form=form, status=422)


def _of(team: Team, key: Any) -> Invitation:
    found = Invitation.objects.filter(team=team, pk=key).select_related("team", "invited_by").first()
    if found is None:
        raise Http404("No such invitation.")
    return found


@require_POST
@guarded(Permission.MANAGE)
def resend(request: HttpRequest, team: Team, invitation: Any) -> HttpResponse:
    found, to = _of(team, invitation), f"{reverse('team', args=[team.slug])}#invitations"
    done = f"{found.email} was invited again; earlier links no longer work."
    return act(request, to, lambda: service.resend(request.user, found), done)


@require_POST
@guarded(Permission.MANAGE)
def revoke(request: HttpRequest, team: Team, invitation: Any) -> HttpResponse:
    found, to = _of(team, invitation), f"{reverse('team', args=[team.slug])}#invitations"
    return act(request, to, lambda: service.revoke(request.user, found), f"{found.email} can no longer join by it.")


@require_GET
@never_cache
@guarded(Permission.PUBLIC)
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind a mailed link: who invites into what, and the way in for this visitor."""
    found = service.find(token)
    user = request.user
    if (
        found.accepted_by_id
        and found.accepted_by_id == user.pk
        and found.team.memberships.filter(user=user.pk).exists()
    ):
        return redirect("team_home", found.team.slug)
    service.require_open(found)
    request.session[SESSION_INVITATION] = token
    context = {
        "invitation": found,
        "token": token,
        "here": reverse("invitation", args=[token]),
        "fits": user.is_authenticated and service.is_for(user, found),
        "unconfirmed": user.is_authenticated
        and user.emailaddress_set.filter(email__iexact=found.email, verified=False).exists(),
    }
    return render(request, "teams/invitation.html", context)


@require_POST
@guarded(Permission.SIGNED_IN)
def accept(request: HttpRequest, token: str) -> HttpResponse:
    membership = service.accept(request.user, token)
    request.session.pop(SESSION_INVITATION, None)
    label = Role(membership.role).label.lower()
    messages.success(request, f"You are a member of {membership.team.name}, as {label}.")
    return redirect("team_home", membership.team.slug)
