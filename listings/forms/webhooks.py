from __future__ import annotations

import uuid
from typing import Any

from django import forms

from listings import problems
from listings.hooks import filters
from listings.models import Provider
from listings.problems import ProblemError
from listings.services.webhooks import Wanted

_HOW = "One pattern a line: * for anything but a slash, ** for any directories, ! to take out again. "


class PatternsField(forms.CharField):
    """Patterns, one a line, checked as they will be used."""

    widget = forms.Textarea(attrs={"rows": 3, "class": "mono", "spellcheck": "false", "autocapitalize": "off"})

    def clean(self, value: Any) -> str:
        text = str(super().clean(value))
        try:
            filters.parse(text.splitlines())
        except ProblemError as error:
            raise forms.ValidationError(problems.fill(problems.get(error.code).cause, error.report.params)) from None
        return text


class WebhookForm(forms.Form):
    key = forms.UUIDField(required=False, initial=uuid.uuid4, widget=forms.HiddenInput)
    provider = forms.ChoiceField(
        label="Who posts", choices=Provider, help_text="It decides how a delivery is signed and read."
    )
    branches = PatternsField(
        label="Branches", required=False,
        help_text=_HOW + "A push makes a version to test, such as 1.2.4-main.3. Empty: no branch is built.",
    )  # fmt: skip
    tags = PatternsField(
        label="Tags", required=False,
        help_text="Tags such as v1.2.3 make the version 1.2.3, which can be released. Empty: no tag is built.",
    )  # fmt: skip
    paths = PatternsField(
        label="Files", required=False,
        help_text="A push to a branch is built only if it changes one of these files, such as <code>src/**</code>. "
        "Empty: any file. Where the sender does not say all files that changed (Bitbucket never does), it is built.",
    )  # fmt: skip

    def wanted(self) -> Wanted:
        """Raises KeyError before the form is valid."""
        data = self.cleaned_data
        return Wanted(data["branches"].splitlines(), data["tags"].splitlines(), data["paths"].splitlines())

    @staticmethod
    def field_of(error: ProblemError) -> str | None:
        """The field that a problem of the verb belongs to."""
        return "branches" if error.code == "HOOK-NOTHING-WANTED" else None
