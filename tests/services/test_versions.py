"""Versions: numbers, order, what freezes them."""

from __future__ import annotations

import random
from io import BytesIO
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from listings.models import Listing, Upload, UploadPurpose, Version
from listings.problems import ProblemError
from listings.queries import next_number
from listings.services import listings as listing_service
from listings.services import teams, versions
from listings.states import VersionState

pytestmark = pytest.mark.django_db

# Semantic Versioning 2.0.0, rule 11, with neighbours.
IN_ORDER = (
    "0.9.10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
    "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "10.0.0",
)  # fmt: skip


def test_versions_sort_by_semantic_precedence_in_the_database(seller: Any, listing: Listing, upload: Upload) -> None:
    for number in random.sample(IN_ORDER, len(IN_ORDER)):
        versions.create_version(seller, listing, number=number, source=upload)
    newest_first = list(listing.versions.values_list("number", flat=True))
    assert newest_first == list(reversed(IN_ORDER))
    assert next_number(listing) == "10.0.1"


@pytest.mark.parametrize("number", ["1", "1.0", "v1.0.0", "1.0.0+build", "01.0.0", "", "1.0.0 "])
def test_what_is_no_semantic_version_is_refused(seller: Any, listing: Listing, upload: Upload, number: str) -> None:
    with pytest.raises(ProblemError, match="VERSION-NUMBER"):
        versions.create_version(seller, listing, number=number, source=upload)


def test_a_number_is_used_once(seller: Any, draft: Version, upload: Upload) -> None:
    with pytest.raises(ProblemError, match="VERSION-TAKEN"):
        versions.create_version(seller, draft.listing, number=draft.number, source=upload)


def test_an_archived_listing_takes_no_versions_until_it_is_restored(
    seller: Any, listing: Listing, upload: Upload
) -> None:
    listing_service.archive_listing(seller, listing)
    with pytest.raises(ProblemError, match="LISTING-ARCHIVED"):
        versions.create_version(seller, listing, number="1.0.0", source=upload)
    listing_service.restore_listing(seller, listing)
    assert versions.create_version(seller, listing, number="1.0.0", source=upload).state == VersionState.DRAFT


def test_a_submitted_version_is_neither_submitted_again_nor_deleted(seller: Any, draft: Version) -> None:
    versions.submit_version(seller, draft)
    for verb in (versions.submit_version, versions.delete_draft):
        with pytest.raises(ProblemError, match="VERSION-SUBMITTED"):
            verb(seller, draft)


def test_a_draft_can_be_deleted_and_its_number_used_again(seller: Any, draft: Version, upload: Upload) -> None:
    listing = draft.listing
    versions.delete_draft(seller, draft)
    assert versions.create_version(seller, listing, number="1.0.0", source=upload).pk


def test_another_teams_upload_is_unknown(seller: Any, make_user: Any, listing: Listing) -> None:
    other = make_user("olga")
    foreign = versions.store_upload(
        other, teams.create_team(other, "Other"), UploadPurpose.SOURCE, "x.zip", BytesIO(b"x"), 1
    )
    with pytest.raises(ProblemError, match="UPLOAD-UNKNOWN"):
        versions.create_version(seller, listing, number="1.0.0", source=foreign)


def test_somebody_outside_the_team_can_do_nothing(make_user: Any, draft: Version, upload: Upload) -> None:
    outsider = make_user("otto")
    with pytest.raises(PermissionDenied):
        versions.create_version(outsider, draft.listing, number="2.0.0", source=upload)
    with pytest.raises(PermissionDenied):
        versions.submit_version(outsider, draft)


def test_the_same_bytes_are_stored_once(seller: Any, team: Any, upload: Upload) -> None:
    content = b"a build context"
    again = versions.store_upload(seller, team, UploadPurpose.SOURCE, "again.zip", BytesIO(content), len(content))
    assert again.blob_id == upload.blob_id
