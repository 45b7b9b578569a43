"""Forms of decisions on waivers."""

from __future__ import annotations

from django import forms


class ReasonForm(forms.Form):
    """The reason of a refusal or a revocation."""

    reason = forms.CharField(
        label="Your reason", max_length=2000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Shown to the team and kept in the audit history.",
    )  # fmt: skip


class WaiverForm(ReasonForm):
    """An admin's answer to a waiver request."""

    days = forms.IntegerField(label="Valid for, in days", min_value=1, max_value=730, initial=90)
    whole_team = forms.BooleanField(label="For every version of this team", required=False)


class WaiverRequestForm(forms.Form):
    """Asking to waive one failing rule for one version."""

    code = forms.CharField(max_length=48, widget=forms.HiddenInput)
    subject = forms.CharField(max_length=200, widget=forms.HiddenInput)
    reason = forms.CharField(
        label="Why is it acceptable?", max_length=2000, widget=forms.Textarea(attrs={"rows": 4}),
        help_text="The admins read it, and it is kept in the audit history.",
    )  # fmt: skip
