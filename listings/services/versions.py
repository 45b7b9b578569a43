"""Uploads and versions."""

from __future__ import annotations

from typing import IO, Any

import semver
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from listings import blobs, links
from listings.access import Permission, require
from listings.models import Listing, Run, Team, Upload, UploadPurpose, Version
from listings.models.runs import Trigger
from listings.problems import ProblemError
from listings.services import audit, planning
from listings.services.origins import Origin, require_own, require_own_upload
from listings.states import VERSION_MOVES, StaleState, VersionState, transition

_NUMBER_LENGTH, _KEY_LENGTH = 64, 200  # what the columns hold


def store_upload(user: Any, team: Team, purpose: UploadPurpose, filename: str, content: IO[bytes], size: int) -> Upload:
    """Keep a file that somebody sent. ``size`` in bytes. Raises ProblemError UPLOAD-TOO-LARGE or UPLOAD-EMPTY."""
    require(user, Permission.DEVELOP, team)
    limit = settings.SLIPWAY.upload_max_bytes
    if size > limit:
        raise ProblemError("UPLOAD-TOO-LARGE", filename=filename, size=size, limit=limit)
    if size == 0:
        raise ProblemError("UPLOAD-EMPTY", filename=filename)
    blob = blobs.store(content)
    return Upload.objects.create(team=team, user=user, purpose=purpose, filename=filename[-255:], blob=blob)


def number_key(number: str) -> str:
    """A string that sorts as semantic versions do (https://semver.org, rule 11). Raises ProblemError."""
    if len(number) > _NUMBER_LENGTH:
        raise ProblemError("VERSION-NUMBER", number=number[:_NUMBER_LENGTH])
    try:
        parsed = semver.Version.parse(number)
    except ValueError:
        raise ProblemError("VERSION-NUMBER", number=number) from None
    if parsed.build or max(parsed.major, parsed.minor, parsed.patch) >= 10**10:
        raise ProblemError("VERSION-NUMBER", number=number)
    core = ".".join(f"{part:010d}" for part in (parsed.major, parsed.minor, parsed.patch))
    if parsed.prerelease is None:
        return f"{core}~"
    # Within a pre-release, numbers sort below words and a shorter list below its extension.
    parts = [f"0{int(part):010d}" if part.isdigit() else f"1{part}" for part in parsed.prerelease.split(".")]
    key = f"{core}-{'!'.join(parts)}"
    if len(key) > _KEY_LENGTH:
        raise ProblemError("VERSION-NUMBER", number=number)
    return key


@transaction.atomic
def create_version(
    user: Any,
    listing: Listing,
    *,
    number: str,
    source: Upload | Origin,
    artifact: Upload | None = None,
    spec: dict[str, Any] | None = None,
    notes: str = "",
) -> Version:
    """Make a draft. ``source`` is where the container comes from; an Upload is a build context.

    Raises ProblemError for a bad or taken number, an archived listing, a foreign upload or credential.
    """
    require(user, Permission.DEVELOP, listing.team)
    if listing.is_archived:
        raise ProblemError("LISTING-ARCHIVED", listing=listing.name)
    key = number_key(number)
    origin = source if isinstance(source, Origin) else Origin.uploaded(source)
    require_own(listing, origin)
    if artifact is not None:
        require_own_upload(listing, artifact, UploadPurpose.ARTIFACT)
    try:
        with transaction.atomic():
            version = Version.objects.create(
                listing=listing, number=number, number_key=key, artifact=artifact, spec=spec, notes=notes,
                author=user, **origin.columns(),
            )  # fmt: skip
    except IntegrityError:
        raise ProblemError("VERSION-TAKEN", number=number, listing=listing.name) from None
    audit.record(user, "version.create", version, listing=listing, url=links.version(version), source=origin.label())
    return version


@transaction.atomic
def submit_version(user: Any, version: Version, trigger: Trigger = Trigger.SUBMIT, *, at_once: bool = True) -> Run:
    """Freeze a draft and start its first run. Raises ProblemError VERSION-SUBMITTED if that has happened.

    Unless ``at_once``, the run is only made here: whoever waits for the answer need not wait for its planning.
    """
    require(user, Permission.DEVELOP, version.listing.team)
    try:
        transition(
            Version, version.pk, moves=VERSION_MOVES, source=VersionState.DRAFT, target=VersionState.SUBMITTED,
            submitted_at=timezone.now(),
        )  # fmt: skip
    except StaleState:
        raise ProblemError("VERSION-SUBMITTED", number=version.number) from None
    version.refresh_from_db(fields=("state", "submitted_at"))
    run = planning.start_run(version, user, trigger, at_once=at_once)
    audit.record(user, "version.submit", version, listing=version.listing, url=links.version(version))
    return run


@transaction.atomic
def delete_draft(user: Any, version: Version) -> None:
    """Remove a draft that was never submitted. Uploads stay. Raises ProblemError VERSION-SUBMITTED."""
    require(user, Permission.DEVELOP, version.listing.team)
    subject, listing = str(version), version.listing
    deleted, _ = Version.objects.filter(pk=version.pk, state=VersionState.DRAFT).delete()
    if not deleted:
        raise ProblemError("VERSION-SUBMITTED", number=version.number)
    audit.record(user, "version.delete_draft", subject, listing=listing, url=links.listing(listing))


def pin_source(version: Version, *, commit: str = "", image_digest: str = "") -> None:
    """Note what the version's ref or image reference meant when it was first fetched; later runs build the same."""
    if commit:
        Version.objects.filter(pk=version.pk, git_commit="").update(git_commit=commit)
    if image_digest:
        Version.objects.filter(pk=version.pk, image_digest="").update(image_digest=image_digest)
