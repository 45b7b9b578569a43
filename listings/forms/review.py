from __future__ import annotations

from django import forms


class WaiverForm(forms.Form):
    """An admin's answer to a waiver request."""

    reason = forms.CharField(
        label="Your reason", max_length=2000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Shown to the team and kept in the audit history.",
    )  # fmt: skip
    days = forms.IntegerField(label="Valid for, in days", min_value=1, max_value=730, initial=90)
    whole_team = forms.BooleanField(label="For every version of this team", required=False)
