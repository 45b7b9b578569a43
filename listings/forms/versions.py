"""A new version: number, source, specification. Files are kept as uploads before anything else is judged."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms.utils import ErrorDict
from django.http import QueryDict

from listings import spec
from listings.forms.sources import OriginForm, initial_of
from listings.forms.spec_form import SpecForm
from listings.forms.spec_start import Start, start_of
from listings.models import Listing, SourceKind, UploadPurpose
from listings.services import standing_sources
from listings.services.origins import Origin

IN_SOURCE, HERE, PASTED = "source", "here", "paste"


class VersionForm(OriginForm):
    """The specification's own form is ``spec_form``; it counts when ``spec_origin`` is HERE. With ``more`` in the data
    (rows to lengthen) the form is shown again as it was typed, unjudged. It begins with the listing's standing source.
    """

    source_kind = forms.ChoiceField(
        label="Where does the container come from?", widget=forms.RadioSelect, required=False,
        choices=[(SourceKind.UPLOAD, "Upload"), (SourceKind.GIT, "Git"), (SourceKind.IMAGE, "Existing image")],
    )  # fmt: skip
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

    files_of = (UploadPurpose.SOURCE, UploadPurpose.BUNDLE, UploadPurpose.ARTIFACT)
    default_kind = SourceKind.UPLOAD

    def __init__(self, data: QueryDict | None, files: Any, *, listing: Listing, user: Any, **kwargs: Any) -> None:
        self.start: Start | None = None
        self.more = data.get("more", "") if data is not None else ""
        self.standing = standing_sources.of(listing)
        kept = {}
        if data is None and self.standing is not None:
            kwargs["initial"] = {**initial_of(self.standing), **kwargs.get("initial", {})}
            kept = {"bundle": self.standing.bundle, "artifact": self.standing.artifact}
        super().__init__(data, files, listing=listing, user=user, kept=kept, **kwargs)
        self.spec_form = self._make_spec_form(data)

    def _make_spec_form(self, data: QueryDict | None) -> SpecForm:
        if data is not None and (data.get("spec_origin") == HERE or any(name.startswith("build-") for name in data)):
            return SpecForm(self.listing.kind, data, more=self.more)
        self.start = start_of(self.listing)
        return SpecForm(self.listing.kind, start=self.start.spec)

    def full_clean(self) -> None:
        if not self.more:
            super().full_clean()
            return
        self._errors = ErrorDict()
        self.cleaned_data = {}
        self.tell_of_uploads()
        self.tell_of_secrets()

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        data |= {"artifact": self.kept.get("artifact"), "spec": None}
        if data.get("spec_origin") == HERE:
            data["spec"] = self._filled_in()
        elif data.get("spec_origin") == PASTED:
            data["spec"] = self._pasted(data.get("spec_text", ""))
        return data

    def _given(self, data: dict[str, Any]) -> Origin | None:
        if self.kind != SourceKind.UPLOAD:
            return super()._given(data)
        self.need_upload("source", "Choose the build context: a .zip, .tar or .tar.gz.")
        return Origin.uploaded(self.kept["source"]) if "source" in self.kept else None

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
