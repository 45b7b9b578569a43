"""A new version: number, files, specification. Files are kept as uploads before anything else is judged."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.forms.utils import ErrorDict
from django.http import QueryDict

from listings import spec
from listings.forms.spec_form import SpecForm
from listings.forms.spec_start import Start, start_of
from listings.models import Kind, Listing, Upload, UploadPurpose
from listings.problems import ProblemError
from listings.services import versions
from listings.views.shared import sentences

IN_SOURCE, HERE, PASTED = "source", "here", "paste"


class VersionForm(forms.Form):
    """``source_id`` and ``artifact_id`` name uploads; a file sent with the form becomes one first.

    The specification's own form is ``spec_form``; it counts when ``spec_origin`` is HERE. With ``more`` in the data
    (rows to lengthen) the form is shown again as it was typed, unjudged.
    """

    number = forms.CharField(label="Number", max_length=64, help_text="Semantic: 1.2.3, or 1.2.3-rc.1 to test.")
    source_id = forms.UUIDField(required=False, widget=forms.HiddenInput)
    source_file = forms.FileField(
        label="Build context", required=False, help_text="A .zip, .tar or .tar.gz with your Dockerfile in it."
    )
    artifact_id = forms.UUIDField(required=False, widget=forms.HiddenInput)
    artifact_file = forms.FileField(
        label="Model artifact", required=False,
        help_text="model.tar.gz. Leave it out if the source holds it and the specification says where.",
    )  # fmt: skip
    spec_origin = forms.ChoiceField(
        label="Specification", widget=forms.RadioSelect, initial=IN_SOURCE,
        choices=[(IN_SOURCE, "slipway.yaml in my source"), (HERE, "Fill it in here"), (PASTED, "Paste slipway.yaml")],
    )  # fmt: skip
    spec_text = forms.CharField(
        label="slipway.yaml", required=False, strip=False,
        widget=forms.Textarea(attrs={"rows": 22, "spellcheck": "false", "class": "mono"}),
    )  # fmt: skip
    notes = forms.CharField(
        label="Notes", required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 2}),
        help_text="What is new, for your team and the reviewers.",
    )  # fmt: skip

    def __init__(self, data: QueryDict | None, files: Any, *, listing: Listing, user: Any, **kwargs: Any) -> None:
        self.listing, self.user = listing, user
        self.kept: dict[str, Upload] = {}
        self.start: Start | None = None
        self._upload_errors: dict[str, str] = {}
        self.more = ""
        if data is not None:
            data = data.copy()
            self.more = data.get("more", "")
            for name in self.purposes:
                sent = files.get(f"{name}_file") if files else None
                if sent:
                    self._keep(data, name, sent)
                self._look_up(data, name)
        super().__init__(data, None, **kwargs)
        self.spec_form = self._make_spec_form(data)

    def _make_spec_form(self, data: QueryDict | None) -> SpecForm:
        if data is not None and (data.get("spec_origin") == HERE or any(name.startswith("build-") for name in data)):
            return SpecForm(self.listing.kind, data, more=self.more)
        self.start = start_of(self.listing)
        return SpecForm(self.listing.kind, start=self.start.spec)

    @property
    def purposes(self) -> tuple[str, ...]:
        """The files that a version of this listing's kind may have."""
        return ("source", "artifact") if self.listing.kind == Kind.MODEL_PACKAGE else ("source",)

    def _keep(self, data: QueryDict, name: str, sent: UploadedFile) -> None:
        try:
            upload = versions.store_upload(
                self.user, self.listing.team, UploadPurpose(name), sent.name or name, sent.file, sent.size or 0
            )
        except ProblemError as error:
            self._upload_errors[name] = sentences(error)
        else:
            data[f"{name}_id"] = str(upload.pk)

    def _look_up(self, data: QueryDict, name: str) -> None:
        """The upload that the form names, for showing it again. Another team's is none."""
        named = data.get(f"{name}_id")
        if not named:
            return
        try:
            found = Upload.objects.filter(pk=named, team=self.listing.team, purpose=UploadPurpose(name)).first()
        except (ValueError, forms.ValidationError):
            found = None
        if found is not None:
            self.kept[name] = found
        else:
            self._upload_errors.setdefault(name, "This upload is not there. Choose the file again.")

    def full_clean(self) -> None:
        if not self.more:
            super().full_clean()
            return
        self._errors = ErrorDict()
        self.cleaned_data = {}
        self._tell_of_uploads()

    def _tell_of_uploads(self) -> None:
        for name, message in self._upload_errors.items():
            self.add_error(f"{name}_file", message)

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        self._tell_of_uploads()
        if "source" not in self.kept and "source" not in self._upload_errors:
            self.add_error("source_file", "Choose the build context: a .zip, .tar or .tar.gz.")
        data |= {"source": self.kept.get("source"), "artifact": self.kept.get("artifact"), "spec": None}
        if data.get("spec_origin") == HERE:
            data["spec"] = self._filled_in()
        elif data.get("spec_origin") == PASTED:
            data["spec"] = self._pasted(data.get("spec_text", ""))
        return data

    def _filled_in(self) -> dict[str, Any] | None:
        if self.spec_form.is_valid() and self.spec_form.spec is not None:
            return self.spec_form.spec.as_json()
        count = len(self.spec_form.shown)
        self.add_error("spec_origin", f"{count} problem{'s' if count != 1 else ''}, each shown at its field.")
        return None

    def _pasted(self, text: str) -> dict[str, Any] | None:
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
