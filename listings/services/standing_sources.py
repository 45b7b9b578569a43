"""A listing's standing source: what webhooks build, and what the form for a new version starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from listings import addresses, links
from listings.access import Permission, require
from listings.models import (
    Credential,
    CredentialKind,
    Kind,
    Listing,
    ListingSource,
    SourceKind,
    StatusProvider,
    Upload,
    UploadPurpose,
)
from listings.problems import ProblemError
from listings.services import audit, credentials
from listings.services.origins import Origin, checked, read_git, require_own, require_own_upload

#: Code hosts whose API answers under a name of its own.
_API_HOSTS = {"api.github.com": "github.com", "api.bitbucket.org": "bitbucket.org"}
_BITBUCKET = "bitbucket.org"


@dataclass(frozen=True, slots=True)
class Reporting:
    """Whether and where the code host is told of runs. ``url`` is its API where it is not at its usual place."""

    provider: StatusProvider = StatusProvider.NONE
    url: str = ""
    credential: Credential | None = None


@transaction.atomic
def save(
    user: Any, listing: Listing, origin: Origin, *, artifact: Upload | None = None, reporting: Reporting | None = None
) -> ListingSource:
    """Set where the listing's containers come from. ``origin`` is Git or an image with its bundle.

    Raises ProblemError LISTING-ARCHIVED, UPLOAD-UNKNOWN, CREDENTIAL-UNKNOWN, what ``origins.checked`` raises, and for
    the reporting STATUS-CREDENTIAL, STATUS-ADDRESS and STATUS-GIT-ONLY.
    """
    require(user, Permission.DEVELOP, listing.team)
    if listing.is_archived:
        raise ProblemError("LISTING-ARCHIVED", listing=listing.name)
    if origin.kind not in (SourceKind.GIT, SourceKind.IMAGE):
        raise ValueError("an upload is no standing source")
    origin = checked(origin)
    require_own(listing, origin)
    if artifact is not None:
        require_own_upload(listing, artifact, UploadPurpose.ARTIFACT)
    reporting = _checked_reporting(listing, origin, reporting or Reporting())
    source, _ = ListingSource.objects.update_or_create(
        listing=listing,
        defaults={
            "kind": origin.kind, "git_url": origin.git_url, "git_ref": origin.git_ref, "directory": origin.directory,
            "image_reference": origin.image_reference, "bundle": origin.upload, "credential": origin.credential,
            "artifact": artifact if listing.kind == Kind.MODEL_PACKAGE else None,
            "status_provider": reporting.provider, "status_url": reporting.url,
            "status_credential": reporting.credential, "updated_by": user,
        },
    )  # fmt: skip
    _record(user, "listing.source", source)
    return source


@transaction.atomic
def remove(user: Any, listing: Listing) -> None:
    """Forget the standing source; webhooks then build nothing. Raises ProblemError SOURCE-NOT-SET."""
    require(user, Permission.DEVELOP, listing.team)
    deleted, _ = ListingSource.objects.filter(listing=listing).delete()
    if not deleted:
        raise ProblemError("SOURCE-NOT-SET", listing=listing.name)
    audit.record(user, "listing.source_remove", listing, listing=listing, url=links.source(listing))


def of(listing: Listing) -> ListingSource | None:
    """The listing's standing source with what its page shows, or None."""
    rows = ListingSource.objects.filter(listing=listing)
    return rows.select_related(
        "credential", "status_credential", "bundle__blob", "artifact__blob", "updated_by", "listing__team"
    ).first()


def _checked_reporting(listing: Listing, origin: Origin, given: Reporting) -> Reporting:
    if given.provider == StatusProvider.NONE:
        return Reporting()
    if origin.kind != SourceKind.GIT:
        raise ProblemError("STATUS-GIT-ONLY")
    if given.credential is None:
        raise ProblemError("STATUS-CREDENTIAL")
    if given.credential.team_id != listing.team_id:
        raise ProblemError("CREDENTIAL-UNKNOWN")
    credentials.require_kind(given.credential, CredentialKind.TOKEN)
    url, sites = _api(origin.git_url, given)
    credentials.require_host(given.credential, *sites)
    return Reporting(given.provider, url, given.credential)


def _api(git_url: str, given: Reporting) -> tuple[str, list[str]]:
    """The API's address, empty at its usual place, and the hosts whose token may go there."""
    text = given.url.strip().rstrip("/")
    if text:
        try:
            api = read_git(f"{text}/commit")  # judged as an address of something there
        except ProblemError as error:
            if error.code in ("ADDRESS-SECRET", "ADDRESS-HTTP"):
                raise
            raise ProblemError("STATUS-ADDRESS") from None
        if api.scheme == addresses.SSH:
            raise ProblemError("STATUS-ADDRESS")
        # As it was understood: a name may be spelled so that others read another one (ß).
        return api.url.removesuffix("/commit"), [api.site, *([_API_HOSTS[api.site]] if api.site in _API_HOSTS else [])]
    address = read_git(git_url)
    site = address.host if address.scheme == addresses.SSH else address.site
    if given.provider == StatusProvider.BITBUCKET and site != _BITBUCKET:
        raise ProblemError("STATUS-ADDRESS")
    return "", [site, *(api for api, host in _API_HOSTS.items() if host == site)]


def _record(user: Any, action: str, source: ListingSource) -> None:
    audit.record(
        user, action, source.listing, listing=source.listing, url=links.source(source.listing), kind=source.kind,
        source=f"{source.git_url} {source.git_ref}".strip() or source.image_reference,
        directory=source.directory, credential=source.credential.name if source.credential else "",
        reports_to=source.status_provider, status_credential=source.status_credential.name
        if source.status_credential else "",
    )  # fmt: skip
