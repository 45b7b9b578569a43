from __future__ import annotations

import uuid

from django import forms

from listings.models import Kind


class ListingForm(forms.Form):
    key = forms.UUIDField(required=False, initial=uuid.uuid4, widget=forms.HiddenInput)
    kind = forms.ChoiceField(
        label="What it becomes", choices=Kind, widget=forms.RadioSelect,
        help_text="An algorithm trains on the buyer's data; a model package serves a model that you trained.",
    )  # fmt: skip
    name = forms.CharField(label="Name", max_length=72, help_text="As buyers will read it.")
    summary = forms.CharField(
        label="Summary", max_length=300, required=False, widget=forms.Textarea(attrs={"rows": 2}),
        help_text="One or two sentences for your team.",
    )  # fmt: skip
    product_id = forms.CharField(
        label="Marketplace product id", max_length=64, required=False,
        help_text="prod-…, from the AWS Marketplace Management Portal. Needed to publish; may be added later.",
    )  # fmt: skip
