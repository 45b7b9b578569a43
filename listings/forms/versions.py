"""A new version: number, files, spec. Files are kept as uploads before anything else is judged."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict

from listings import spec
from listings.models import Listing, Upload, UploadPurpose
from listings.problems import ProblemError
from listings.services import versions
from listings.views.shared import sentences

IN_SOURCE, HERE = "source", "here"


class VersionForm(forms.Form):
    """``source_id`` and ``artifact_id`` name uploads; a file sent with the form becomes one first."""

    number = forms.CharField(label="Version number", max_length=64, help_text="Semantic: 1.2.3, or 1.2.3-rc.1 to test.")
    source_id = forms.UUIDField(required=False, widget=forms.HiddenInput)
    source_file = forms.FileField(
        label="Build context", required=False, help_text="A .zip, .tar or .tar.gz with your Dockerfile in it."
    )
    artifact_id = forms.UUIDField(required=False, widget=forms.HiddenInput)
    artifact_file = forms.FileField(
        label="Model artifact", required=False,
        help_text="model.tar.gz. Leave it out if the source holds it and slipway.yaml says where.",
    )  # fmt: skip
    spec_origin = forms.ChoiceField(
        label="Specification", widget=forms.RadioSelect, initial=IN_SOURCE,
        choices=[(IN_SOURCE, "slipway.yaml in the source"), (HERE, "Write it here")],
    )  # fmt: skip
    spec_text = forms.CharField(
        label="Specification", required=False,
        widget=forms.Textarea(attrs={"rows": 22, "spellcheck": "false", "class": "mono"}),
        help_text="The same fields as slipway.yaml.",
    )  # fmt: skip
    notes = forms.CharField(
        label="Notes", required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 2}),
        help_text="What is new, for your team and the reviewers.",
    )  # fmt: skip

    def __init__(self, data: QueryDict | None, files: Any, *, listing: Listing, user: Any, **kwargs: Any) -> None:
        self.listing, self.user = listing, user
        self.kept: dict[str, Upload] = {}
        if data is not None:
            data = data.copy()
            self._upload_errors: dict[str, str] = {}
            for name in ("source", "artifact"):
                sent = files.get(f"{name}_file") if files else None
                if sent:
                    self._keep(data, name, sent)
        super().__init__(data, None, **kwargs)
        if data is not None:
            self._look_up(data)

    def _keep(self, data: QueryDict, name: str, sent: UploadedFile) -> None:
        try:
            upload = versions.store_upload(
                self.user, self.listing.team, UploadPurpose(name), sent.name or name, sent.file, sent.size or 0
            )
        except ProblemError as error:
            self._upload_errors[name] = sentences(error)
        else:
            data[f"{name}_id"] = str(upload.pk)

    def _look_up(self, data: QueryDict) -> None:
        """The uploads that the form names, for showing them again."""
        for name in ("source", "artifact"):
            try:
                found = Upload.objects.filter(
                    pk=data.get(f"{name}_id") or None, team=self.listing.team, purpose=UploadPurpose(name)
                ).first()
            except (ValueError, forms.ValidationError):
                found = None
            if found is not None:
                self.kept[name] = found

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        for name, message in self._upload_errors.items():
            self.add_error(f"{name}_file", message)
        if "source" not in self.kept and "source" not in self._upload_errors:
            self.add_error("source_file", "Choose the build context: a .zip, .tar or .tar.gz.")
        data |= {"source": self.kept.get("source"), "artifact": self.kept.get("artifact"), "spec": None}
        if data.get("spec_origin") == HERE:
            data["spec"] = self._spec(data.get("spec_text", ""))
        return data

    def _spec(self, text: str) -> dict[str, Any] | None:
        try:
            parsed = spec.parse(text)
        except spec.SpecErrors as errors:
            for error in errors.problems:
                self.add_error("spec_text", str(error))
            return None
        if parsed.kind != self.listing.kind:
            kind = self.listing.kind
            self.add_error("spec_text", f"kind is {parsed.kind}, but this listing is of kind {kind}.")
            return None
        return parsed.as_json()
