"""Where a container comes from: the fields that a new version and a listing's standing source share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.http import QueryDict

from listings import addresses
from listings.forms.uploads import UploadingForm
from listings.models import (
    Credential,
    CredentialKind,
    Kind,
    ListingSource,
    SourceKind,
    StatusProvider,
    UploadPurpose,
)
from listings.problems import ProblemError
from listings.services import origins
from listings.services.origins import Origin
from listings.services.standing_sources import Reporting
from listings.views.shared import sentences

_MONO = {"class": "mono", "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
#: What may hold a secret by mistake: it is taken out before the form is ever shown again.
_ADDRESSES = ("git_url", "image_reference", "status_url")
_FIELDS = {
    "STATUS-CREDENTIAL": "status_credential", "STATUS-ADDRESS": "status_url", "STATUS-GIT-ONLY": "status_provider",
}  # fmt: skip


class CredentialField(forms.ChoiceField):
    """A credential of the form's team; ``kinds`` are those that fit. The cleaned value is a Credential or None."""

    def __init__(self, *kinds: CredentialKind, none: str, **kwargs: Any) -> None:
        self.kinds, self.none = kinds, none
        self.found: dict[str, Credential] = {}
        super().__init__(required=False, **kwargs)

    def offer(self, credentials: list[Credential]) -> None:
        """Let these be chosen, as far as they fit."""
        fitting = [credential for credential in credentials if credential.kind in self.kinds]
        self.found = {str(credential.pk): credential for credential in fitting}
        self.choices = [("", self.none), *((pk, _label(credential)) for pk, credential in self.found.items())]

    def clean(self, value: Any) -> Credential | None:
        return self.found.get(super().clean(value))


def _label(credential: Credential) -> str:
    return f"{credential.name}: {CredentialKind(credential.kind).label.lower()} for {credential.host}"


def initial_of(source: ListingSource) -> dict[str, Any]:
    """What the fields begin with when the listing has a standing source."""
    is_git = source.kind == SourceKind.GIT
    return {
        "source_kind": source.kind, "git_url": source.git_url, "git_ref": source.git_ref,
        "directory": source.directory, "git_credential": source.credential_id if is_git else None,
        "image_reference": source.image_reference, "image_credential": None if is_git else source.credential_id,
        "status_provider": source.status_provider, "status_url": source.status_url,
        "status_credential": source.status_credential_id,
    }  # fmt: skip


class OriginForm(UploadingForm):
    """Git or an image. ``cleaned_data["origin"]`` is the result, checked, or None if something is wrong."""

    source_kind = forms.ChoiceField(
        label="Where does the container come from?", widget=forms.RadioSelect, required=False,
        choices=[(SourceKind.GIT, "Git"), (SourceKind.IMAGE, "Existing image")],
    )  # fmt: skip
    git_url = forms.CharField(
        label="Repository", max_length=500, required=False, widget=forms.TextInput(attrs={**_MONO, "inputmode": "url"}),
        help_text="Its clone address: https://…, ssh://… or git@host:path. Submodules and LFS come along.",
    )  # fmt: skip
    git_ref = forms.CharField(
        label="Branch, tag or commit", max_length=255, required=False, widget=forms.TextInput(attrs=_MONO),
        help_text="Empty: the repository's default branch.",
    )  # fmt: skip
    directory = forms.CharField(
        label="Directory", max_length=255, required=False, widget=forms.TextInput(attrs=_MONO),
        help_text="Where Dockerfile and slipway.yaml lie. Empty: the root.",
    )  # fmt: skip
    git_credential = CredentialField(
        CredentialKind.TOKEN, CredentialKind.SSH_KEY, label="Credential", none="None: the repository is public",
        help_text="An access token for https, a deploy key for ssh. It is sent to its own host only.",
    )  # fmt: skip
    image_reference = forms.CharField(
        label="Image", max_length=500, required=False, widget=forms.TextInput(attrs=_MONO),
        help_text="registry/repository:tag, or @sha256:… for one that never changes. linux/amd64 is taken.",
    )  # fmt: skip
    image_credential = CredentialField(
        CredentialKind.REGISTRY, label="Credential", none="None: the image is public",
        help_text="A registry password. It is sent to its own registry only.",
    )  # fmt: skip
    bundle_id = forms.UUIDField(required=False, widget=forms.HiddenInput)
    bundle_file = forms.FileField(
        label="Companion bundle", required=False,
        help_text="A .zip, .tar or .tar.gz with the sample files, and slipway.yaml unless you fill it in.",
    )  # fmt: skip

    files_of = (UploadPurpose.BUNDLE,)
    default_kind = SourceKind.GIT

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._had_secret: list[str] = []
        super().__init__(*args, **kwargs)
        own = list(Credential.objects.filter(team=self.listing.team))
        for field in self.fields.values():
            if isinstance(field, CredentialField):
                field.offer(own)

    def prepare(self, data: QueryDict) -> None:
        for name in _ADDRESSES:
            typed = data.get(name, "")
            shown = addresses.without_secret(typed)
            if shown != typed:
                data[name] = shown
                self._had_secret.append(name)

    @property
    def kind(self) -> SourceKind:
        """What is chosen now."""
        chosen = self["source_kind"].value()
        return SourceKind(chosen) if chosen in SourceKind.values else self.default_kind

    def tell_of_secrets(self) -> None:
        for name in self._had_secret:
            self.add_error(name, sentences(ProblemError("ADDRESS-SECRET")))

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        data["source_kind"] = self.kind
        self.tell_of_uploads()
        self.tell_of_secrets()
        data["origin"] = self._origin(data)
        return data

    def _judge(self, data: dict[str, Any], name: str, read: Callable[[str], object]) -> None:
        """Each field by itself, so that every mistake is told at once."""
        if name not in self.errors and data.get(name):
            try:
                read(data[name])
            except ProblemError as error:
                self.add_error(name, sentences(error))

    def _origin(self, data: dict[str, Any]) -> Origin | None:
        given = self._given(data)
        if given is None:
            return None
        try:
            return origins.checked(given)
        except ProblemError as error:
            self.add_problem(error)
            return None

    def _given(self, data: dict[str, Any]) -> Origin | None:
        """What was filled in for the kind that was chosen; None, with errors, where the main thing is missing."""
        if self.kind == SourceKind.GIT:
            if not data.get("git_url"):
                self._need("git_url", "Enter the repository's clone address.")
            self._judge(data, "git_url", origins.read_git)
            self._judge(data, "git_ref", addresses.parse_ref)
            self._judge(data, "directory", addresses.parse_directory)
            self._judge(data, "git_url", lambda url: self._need_key(url, data))
            return None if self.errors.keys() & {"git_url", "git_ref", "directory", "git_credential"} else Origin(
                SourceKind.GIT, git_url=data["git_url"], git_ref=data["git_ref"], directory=data["directory"],
                credential=data["git_credential"],
            )  # fmt: skip
        if not data.get("image_reference"):
            self._need("image_reference", "Enter the image, such as registry.example.com/churn:1.4.2.")
        self._judge(data, "image_reference", addresses.parse_image)
        self.need_upload("bundle", "Choose the companion bundle: an archive with the sample files.")
        return None if self.errors.keys() & {"image_reference", "image_credential", "bundle_file"} else Origin(
            SourceKind.IMAGE, upload=self.kept.get("bundle"), image_reference=data["image_reference"],
            credential=data["image_credential"],
        )  # fmt: skip

    def _need_key(self, url: str, data: dict[str, Any]) -> None:
        """No host lets anybody in by ssh without a key, public repository or not."""
        if not data.get("git_credential") and origins.read_git(url).scheme == addresses.SSH:
            self._need("git_credential", "ssh needs a deploy key. Choose or make one, or use the https:// address.")

    def _need(self, name: str, message: str) -> None:
        if name not in self.errors:
            self.add_error(name, message)

    def add_problem(self, error: ProblemError) -> None:
        """A coded problem at the field that it speaks of."""
        code, is_git = error.code, self.kind == SourceKind.GIT
        field = _FIELDS.get(code)
        if field is None and code.startswith("CREDENTIAL"):
            field = "git_credential" if is_git else "image_credential"
        if field is None and code.startswith("ADDRESS"):
            field = "git_url" if is_git else "image_reference"
        self.add_error(field if field in self.fields else None, sentences(error))


class StandingSourceForm(OriginForm):
    """A listing's standing source, and where commits are reported."""

    artifact_id = forms.UUIDField(required=False, widget=forms.HiddenInput)
    artifact_file = forms.FileField(
        label="Model artifact", required=False,
        help_text="model.tar.gz. Leave it out if the source holds it and the specification says where.",
    )  # fmt: skip
    status_provider = forms.ChoiceField(
        label="Report to", required=False, choices=StatusProvider,
        help_text="Each run shows at its commit as pending, success or failure, with a link here.",
    )  # fmt: skip
    status_url = forms.CharField(
        label="Address of the API", max_length=500, required=False,
        widget=forms.TextInput(attrs={**_MONO, "inputmode": "url"}),
        help_text="Only where it is not at its usual place, such as https://git.example.com/gitlab/api/v4.",
    )  # fmt: skip
    status_credential = CredentialField(
        CredentialKind.TOKEN, label="Access token", none="Choose a token",
        help_text="One that may write commit statuses. It may be the same as above.",
    )  # fmt: skip

    files_of = (UploadPurpose.BUNDLE, UploadPurpose.ARTIFACT)

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        is_package = self.listing.kind == Kind.MODEL_PACKAGE
        data["artifact"] = self.kept.get("artifact") if is_package else None
        provider = StatusProvider(data.get("status_provider") or "")
        if self.kind != SourceKind.GIT:  # hidden with the repository; what stands there does not count
            provider = StatusProvider.NONE
        data["reporting"] = Reporting(provider, data.get("status_url", ""), data.get("status_credential"))
        return data

    def add_problem(self, error: ProblemError, *, reporting: bool = False) -> None:
        if reporting and error.code.startswith("CREDENTIAL"):
            self.add_error("status_credential", sentences(error))
        elif reporting and error.code.startswith("ADDRESS"):
            self.add_error("status_url", sentences(error))
        else:
            super().add_problem(error)
