from __future__ import annotations

from typing import Any

from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.core import context
from django import forms
from django.conf import settings
from django.http import HttpRequest

from portal.accounts.adapter import invited_address
from portal.accounts.models import Theme, User


class SignupForm(AllauthSignupForm):  # type: ignore[misc]
    full_name = forms.CharField(
        label="Your name",
        max_length=120,
        help_text="Shown to your team and to reviewers.",
        widget=forms.TextInput(attrs={"autocomplete": "name", "autofocus": True}),
    )
    field_order = ("full_name", "email", "password1")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invited = invited_address(context.request)
        if self.invited:
            self.fields["email"].initial = self.invited

    def clean_email(self) -> str:
        """Where sign-up is closed, the invited address and no other."""
        email = str(super().clean_email())
        if not settings.ACCOUNT_ALLOW_SIGNUPS and email.lower() != self.invited:
            raise forms.ValidationError(f"Accounts are by invitation here, and yours went to {self.invited}.")
        return email

    def clean_full_name(self) -> str:
        return str(self.cleaned_data["full_name"]).strip()

    def custom_signup(self, request: HttpRequest, user: Any) -> None:
        user.full_name = self.cleaned_data["full_name"]
        user.save(update_fields=["full_name"])


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("full_name", "theme")
        labels = {"full_name": "Your name", "theme": "Colours"}
        help_texts = {"full_name": "Shown to your team and to reviewers."}
        widgets = {"full_name": forms.TextInput(attrs={"autocomplete": "name"}), "theme": forms.RadioSelect}


class ThemeForm(forms.Form):
    theme = forms.ChoiceField(choices=Theme.choices)
