"""The admins' rules: in force, earlier ones, and amending them."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from listings import queries
from listings.access import Permission, guarded
from listings.forms.policies import PolicyForm, policy_text
from listings.problems import ProblemError
from listings.services import verdicts, waivers
from listings.views.shared import sentences


@require_http_methods(["GET", "POST"])
@guarded(Permission.ADMIN)
def policies(request: HttpRequest) -> HttpResponse:
    form = PolicyForm(request.POST or None, initial={"body": policy_text(verdicts.current_policy().body)})
    if request.method == "POST" and form.is_valid():
        try:
            policy = waivers.amend_policy(request.user, form.cleaned_data["body"], form.cleaned_data["reason"])
        except ProblemError as error:
            form.add_error(None, sentences(error))
        else:
            messages.success(request, f"Policy {policy.number} is in force.")
            return redirect("policies")
    context = queries.policy_page() | {"form": form}
    return render(request, "policies/policies.html", context, status=422 if form.errors else 200)
