"""Amending the policy."""

from __future__ import annotations

import json
from typing import Any

from django import forms

from listings.policy_defaults import validate_policy


def policy_text(body: dict[str, Any]) -> str:
    """The policy as JSON to edit: one line for each operating system."""
    systems = ",\n".join(f"    {json.dumps(os_id)}: {json.dumps(versions)}" for os_id, versions in body["os"].items())
    rules = [f'  "os": {{\n{systems}\n  }}']
    rules += [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in body.items() if key != "os"]
    return "{\n" + ",\n".join(rules) + "\n}"


class PolicyForm(forms.Form):
    """The whole policy as JSON, with the reason for the change."""

    body = forms.CharField(
        label="Policy", widget=forms.Textarea(attrs={"rows": 16, "spellcheck": "false", "class": "mono"}),
        help_text="Keys: <code>os</code> (ID of /etc/os-release → versions, or [\"*\"]), <code>outgoing</code> "
        "(warn or fail), <code>blocking_severities</code>.",
    )  # fmt: skip
    reason = forms.CharField(
        label="Why", max_length=2000, widget=forms.Textarea(attrs={"rows": 2}), help_text="Kept with this policy."
    )

    def clean_body(self) -> Any:
        """The policy as data. Every fault is named; a syntax error with its line."""
        try:
            body = json.loads(self.cleaned_data["body"])
        except json.JSONDecodeError as error:
            raise forms.ValidationError(f"Line {error.lineno}, column {error.colno}: {error.msg}.") from None
        errors = validate_policy(body)
        if errors:
            raise forms.ValidationError(errors)
        return body
