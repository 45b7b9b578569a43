from __future__ import annotations

import json
from typing import Any

from django import forms


class PolicyForm(forms.Form):
    """The whole policy as JSON, with the reason for the change."""

    body = forms.CharField(
        label="Policy", widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "class": "mono"})
    )
    reason = forms.CharField(
        label="Why", max_length=2000, widget=forms.Textarea(attrs={"rows": 2}), help_text="Kept with this policy."
    )

    def clean_body(self) -> Any:
        try:
            return json.loads(self.cleaned_data["body"])
        except json.JSONDecodeError as error:
            raise forms.ValidationError(f"Line {error.lineno}, column {error.colno}: {error.msg}.") from None
