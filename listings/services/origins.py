"""Where a new version's container comes from: one value that forms, webhooks and commands all give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from listings import addresses
from listings.models import Credential, CredentialKind, Listing, SourceKind, Upload, UploadPurpose
from listings.problems import ProblemError
from listings.services import credentials


@dataclass(frozen=True, slots=True)
class Origin:
    """``upload`` is the build context, or an image's companion bundle. ``git_commit`` is known when a webhook named it,
    ``git_branch`` when a push to that branch made the version; ``directory`` is the build context within a repository.
    """

    kind: SourceKind
    upload: Upload | None = None
    git_url: str = ""
    git_ref: str = ""
    git_commit: str = ""
    git_branch: str = ""
    directory: str = ""
    image_reference: str = ""
    image_digest: str = ""
    credential: Credential | None = None

    @classmethod
    def uploaded(cls, upload: Upload) -> Origin:
        return cls(SourceKind.UPLOAD, upload=upload)

    def columns(self) -> dict[str, Any]:
        """The values of the Version's columns."""
        return {
            "source_kind": self.kind, "source": self.upload, "git_url": self.git_url, "git_ref": self.git_ref,
            "git_commit": self.git_commit, "git_branch": self.git_branch, "directory": self.directory,
            "image_reference": self.image_reference, "image_digest": self.image_digest, "credential": self.credential,
        }  # fmt: skip

    def label(self) -> str:
        """For the audit journal: digest of the upload, or address and ref. Never a secret."""
        if self.kind == SourceKind.GIT:
            return f"{self.git_url} {self.git_commit or self.git_ref}"
        if self.kind == SourceKind.IMAGE:
            return self.image_reference
        return self.upload.blob_id if self.upload else ""


def read_git(text: str) -> addresses.GitAddress:
    """A repository's address, http:// only for the hosts that the operator lists. Raises ProblemError ADDRESS-…"""
    return addresses.parse_git(text, http_hosts=addresses.listed_hosts(settings.SLIPWAY.source_allow_hosts))


def checked(origin: Origin) -> Origin:
    """The same in plain form: addresses as they are stored, and without what the kind does not use.

    Raises ProblemError ADDRESS-…, CREDENTIAL-KIND, CREDENTIAL-HOST (a secret goes to its own host only) or
    SOURCE-NO-BUNDLE.
    """
    if origin.kind == SourceKind.GIT:
        return _checked_git(origin)
    if origin.kind == SourceKind.IMAGE:
        image = addresses.parse_image(origin.image_reference)
        if origin.upload is None:
            raise ProblemError("SOURCE-NO-BUNDLE")
        if origin.credential is not None:
            credentials.require_kind(origin.credential, CredentialKind.REGISTRY)
            credentials.require_host(origin.credential, image.registry)
        return Origin(
            origin.kind, origin.upload, image_reference=str(image), image_digest=origin.image_digest,
            credential=origin.credential,
        )  # fmt: skip
    return Origin(origin.kind, origin.upload)


def _checked_git(origin: Origin) -> Origin:
    address = read_git(origin.git_url)
    if origin.credential is not None:
        is_ssh = address.scheme == addresses.SSH
        credentials.require_kind(origin.credential, CredentialKind.SSH_KEY if is_ssh else CredentialKind.TOKEN)
        credentials.require_host(origin.credential, address.site)
    return replace(
        origin, upload=None, image_reference="", image_digest="", git_url=address.url,
        git_ref=addresses.parse_ref(origin.git_ref), directory=addresses.parse_directory(origin.directory),
    )  # fmt: skip


def require_own(listing: Listing, origin: Origin) -> None:
    """Raises ProblemError UPLOAD-UNKNOWN or CREDENTIAL-UNKNOWN for what another team owns or another purpose had."""
    if origin.upload is not None:
        purpose = UploadPurpose.BUNDLE if origin.kind == SourceKind.IMAGE else UploadPurpose.SOURCE
        require_own_upload(listing, origin.upload, purpose)
    if origin.credential is not None and origin.credential.team_id != listing.team_id:
        raise ProblemError("CREDENTIAL-UNKNOWN")


def require_own_upload(listing: Listing, upload: Upload, purpose: UploadPurpose) -> None:
    """Raises ProblemError UPLOAD-UNKNOWN."""
    if upload.team_id != listing.team_id or upload.purpose != purpose:
        raise ProblemError("UPLOAD-UNKNOWN", filename=upload.filename)
