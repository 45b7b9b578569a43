"""Forms with files: each is kept as an upload before anything else is judged, so that no error costs it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict

from listings.models import Kind, Listing, Upload, UploadPurpose
from listings.problems import ProblemError
from listings.services import versions
from listings.views.shared import sentences


class UploadingForm(forms.Form):
    """For each name of ``purposes`` the form has ``name_id``, which names an upload, and ``name_file``; a file that is
    sent with the form becomes an upload first. ``kept`` has the uploads by name; to begin with those given.
    """

    #: The files that the form may have; a model artifact is a model package's only.
    files_of: tuple[UploadPurpose, ...] = ()

    def __init__(
        self, data: QueryDict | None, files: Any, *, listing: Listing, user: Any,
        kept: dict[str, Upload | None] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.listing, self.user = listing, user
        self.kept: dict[str, Upload] = {}
        self._upload_errors: dict[str, str] = {}
        if data is None:
            self.kept = {name: upload for name, upload in (kept or {}).items() if upload and name in self.purposes}
        else:
            data = data.copy()
            for name in self.purposes:
                sent = files.get(f"{name}_file") if files else None
                if sent:
                    self._keep(data, name, sent)
                self._look_up(data, name)
            self.prepare(data)
        super().__init__(data, None, **kwargs)

    def prepare(self, data: QueryDict) -> None:
        """Change what was sent before the form is bound to it."""

    @property
    def purposes(self) -> tuple[str, ...]:
        """The files that this listing's form may have."""
        is_package = self.listing.kind == Kind.MODEL_PACKAGE
        return tuple(p.value for p in self.files_of if p != UploadPurpose.ARTIFACT or is_package)

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
            found = Upload.objects.filter(pk=named, team=self.listing.team, purpose=UploadPurpose(name))
            upload = found.select_related("blob").first()
        except (ValueError, forms.ValidationError):
            upload = None
        if upload is not None:
            self.kept[name] = upload
        else:
            self._upload_errors.setdefault(name, "This upload is not there. Choose the file again.")

    def tell_of_uploads(self) -> None:
        """Each upload's error at its file."""
        for name, message in self._upload_errors.items():
            self.add_error(f"{name}_file", message)

    def need_upload(self, name: str, message: str) -> None:
        """An error at the file, if nothing was sent and nothing else is wrong with it."""
        if name not in self.kept and name not in self._upload_errors:
            self.add_error(f"{name}_file", message)
