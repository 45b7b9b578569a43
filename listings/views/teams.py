"""Teams: making one, members, the AWS connection."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from listings import queries
from listings.access import Permission, guarded
from listings.forms.teams import AwsForm, InvitationForm, TeamForm
from listings.models import Membership, Role, Team
from listings.problems import ProblemError
from listings.services import teams
from listings.views.shared import act, sentences


@require_http_methods(["GET", "POST"])
@guarded(Permission.SIGNED_IN)
def new(request: HttpRequest) -> HttpResponse:
    form = TeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        team = teams.create_team(request.user, form.cleaned_data["name"], key=form.cleaned_data["key"])
        return redirect("team_home", team.slug)
    return render(request, "teams/new.html", {"form": form}, status=422 if form.errors else 200)


@require_GET
@guarded(Permission.SEE)
def team(request: HttpRequest, team: Team) -> HttpResponse:
    return page(request, team)


def page(request: HttpRequest, team: Team, *, status: int = 200, **extra: Any) -> HttpResponse:
    """The team's page; ``extra`` are forms that could not be taken as they are."""
    context = queries.team_page(request.user, team)
    context |= {"invitation_form": InvitationForm(), "aws_form": AwsForm(instance=team)} | extra
    return render(request, "teams/team.html", context, status=status)


def _member(team: Team, member: Any) -> Membership:
    found = Membership.objects.filter(team=team, pk=member).select_related("team", "user").first()
    if found is None:
        raise Http404("No such member.")
    return found


@require_POST
@guarded(Permission.MANAGE)
def change_role(request: HttpRequest, team: Team, member: Any) -> HttpResponse:
    found, role = _member(team, member), request.POST.get("role", "")
    if role not in Role.values:
        raise Http404("No such role.")
    return act(request, reverse("team", args=[team.slug]), lambda: teams.change_role(request.user, found, Role(role)))


@require_POST
@guarded(Permission.SEE)
def remove(request: HttpRequest, team: Team, member: Any) -> HttpResponse:
    """Owners remove anybody, members themselves. The service decides."""
    found = _member(team, member)
    leaves = found.user_id == request.user.pk
    try:
        teams.remove_member(request.user, found)
    except ProblemError as error:
        messages.error(request, sentences(error))
        return redirect("team", team.slug)
    messages.success(request, f"You left {team.name}." if leaves else f"{found.user} is no longer a member.")
    return redirect("home") if leaves else redirect("team", team.slug)


@require_POST
@guarded(Permission.MANAGE)
def aws(request: HttpRequest, team: Team) -> HttpResponse:
    form = AwsForm(request.POST)
    if form.is_valid():
        try:
            teams.connect_aws(request.user, team, form.cleaned_data)
            return redirect("team", team.slug)
        except ProblemError as error:
            form.add_error(error.report.params.get("field"), sentences(error))
    return page(request, team, aws_form=form, status=422)
