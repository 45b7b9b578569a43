"""The admins' rules: in force, earlier ones, and amending them."""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from listings.access import Permission, guarded
from listings.forms.policies import PolicyForm
from listings.models import Policy
from listings.problems import ProblemError
from listings.services import verdicts, waivers
from listings.views.shared import sentences


@require_http_methods(["GET", "POST"])
@guarded(Permission.ADMIN)
def policies(request: HttpRequest) -> HttpResponse:
    current = verdicts.current_policy()
    form = PolicyForm(request.POST or None, initial={"body": json.dumps(current.body, indent=2)})
    if request.method == "POST" and form.is_valid():
        try:
            waivers.amend_policy(request.user, form.cleaned_data["body"], form.cleaned_data["reason"])
        except ProblemError as error:
            form.add_error(None, sentences(error))
        else:
            return redirect("policies")
    context = {"policy": current, "form": form, "earlier": Policy.objects.select_related("author")[:50]}
    return render(request, "policies/policies.html", context, status=422 if form.errors else 200)
