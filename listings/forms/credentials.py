"""Credentials. What is secret is written only: no form shows it again, not even after an error."""

from __future__ import annotations

from typing import Any

from django import forms

from listings import addresses
from listings.models import CredentialKind
from listings.problems import ProblemError
from listings.views.shared import sentences

MADE_HERE, PASTED = "generate", "paste"
_PLAIN = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}


class _WriteOnlyText(forms.Textarea):
    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


class _SecretFields(forms.Form):
    secret = forms.CharField(
        label="Secret", required=False, strip=True,
        widget=forms.PasswordInput(render_value=False, attrs={**_PLAIN, "autocomplete": "new-password"}),
        help_text="The token or password. It is sealed at once; nobody can read it here again.",
    )  # fmt: skip
    key_origin = forms.ChoiceField(
        label="The key", widget=forms.RadioSelect, initial=MADE_HERE, required=False,
        choices=[(MADE_HERE, "Make a pair here"), (PASTED, "Paste a private key")],
    )  # fmt: skip
    private_key = forms.CharField(
        label="Private key", required=False, strip=False,
        widget=_WriteOnlyText(attrs={**_PLAIN, "rows": 6, "class": "mono"}),
        help_text="OpenSSH's format, without a passphrase. It is sealed at once; only the public part is ever shown.",
    )  # fmt: skip

    def given(self, kind: str) -> str:
        """The secret for ``kind``; empty asks for a new pair of keys."""
        data = self.cleaned_data
        if kind != CredentialKind.SSH_KEY:
            return str(data["secret"])
        return str(data["private_key"]) if data.get("key_origin") == PASTED else ""

    def _need_key(self) -> None:
        if self.cleaned_data.get("key_origin") == PASTED and not self.cleaned_data.get("private_key", "").strip():
            self.add_error("private_key", "Paste the private key, or let Slipway make a pair.")

    @property
    def lost_a_secret(self) -> bool:
        """Whether something was typed that is not shown again."""
        return bool(self.data.get("secret") or self.data.get("private_key"))


class CredentialForm(_SecretFields):
    kind = forms.ChoiceField(label="Kind", choices=CredentialKind, widget=forms.RadioSelect)
    name = forms.CharField(label="Name", max_length=80, help_text="For your team, such as “GitHub, read only”.")
    host = forms.CharField(
        label="Host", max_length=255, widget=forms.TextInput(attrs={**_PLAIN, "class": "mono"}),
        help_text="github.com or registry.example.com:5000. The secret is sent to this host only.",
    )  # fmt: skip
    username = forms.CharField(
        label="User name", max_length=255, required=False, widget=forms.TextInput(attrs=_PLAIN),
        help_text="A registry needs one; most code hosts take any with a token, so it may stay empty there.",
    )  # fmt: skip
    known_hosts = forms.CharField(
        label="Host keys", required=False, widget=forms.Textarea(attrs={**_PLAIN, "rows": 3, "class": "mono"}),
        help_text="As ssh-keyscan prints them. Empty: learned at the first connection and held to from then on.",
    )  # fmt: skip

    field_order = ("kind", "name", "host", "username", "secret", "key_origin", "private_key", "known_hosts")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        is_key = data.get("kind") == CredentialKind.SSH_KEY
        if is_key:
            self._need_key()
        elif not data.get("secret"):
            self.add_error("secret", "Enter the token or password.")
        if data.get("host"):
            try:
                addresses.parse_host(data["host"], addresses.SSH if is_key else addresses.HTTPS)
            except ProblemError as error:
                self.add_error("host", sentences(error))
        return data


class RotateForm(_SecretFields):
    """A new secret for a credential that is there."""

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if kind == CredentialKind.SSH_KEY:
            del self.fields["secret"]
        else:
            del self.fields["key_origin"], self.fields["private_key"]

    def clean(self) -> dict[str, Any]:
        if "private_key" in self.fields:
            self._need_key()
        elif not self.cleaned_data.get("secret"):
            self.add_error("secret", "Enter the token or password.")
        return self.cleaned_data


class KnownHostsForm(forms.Form):
    known_hosts = forms.CharField(
        label="Host keys", required=False,
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 5, "class": "mono"}),
        help_text="As ssh-keyscan prints them. Empty: learned at the next connection and held to from then on.",
    )  # fmt: skip


class DeleteForm(forms.Form):
    although_used = forms.BooleanField(label="Remove it all the same", required=False)
