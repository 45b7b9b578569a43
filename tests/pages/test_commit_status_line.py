"""The run's page says what the code host was told."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from listings.models import CommitStatus, Listing, ListingSource, Run, SourceKind
from listings.reports import ProblemReport
from listings.services import statuses, versions
from listings.services.origins import Origin

URL = "https://code.example.com/acme/vision.git"


@pytest.fixture
def run(seller: Any, listing: Listing) -> Run:
    ListingSource.objects.create(listing=listing, kind=SourceKind.GIT, git_url=URL, status_provider="gitea")
    origin = Origin(SourceKind.GIT, git_url=URL, git_ref="main", git_commit="c" * 40)
    return versions.submit_version(seller, versions.create_version(seller, listing, number="1.0.0", source=origin))


@pytest.fixture
def page(client: Client, seller: Any, run: Run) -> Any:
    client.force_login(seller)
    url = reverse("run", args=["acme-vision", "decision-trees", "1.0.0", 1])
    return lambda: client.get(url).content.decode()


def test_what_is_due_what_was_sent_and_what_was_refused_are_told_apart(page: Any, run: Run) -> None:
    assert "About to be reported to Gitea: pending" in page()
    [(status, _)] = statuses.claim_due()
    statuses.not_sent(status, ProblemReport("STATUS-DENIED", {"host": "<b>", "status": "401"}), passing=False)
    assert "Not reported to Gitea: The code host refuses the token. &lt;b&gt; answered 401" in page()
    statuses.sent(status)
    assert "Reported to Gitea: pending" in page()


def test_a_developer_has_it_reported_again(client: Client, page: Any, run: Run) -> None:
    [(status, _)] = statuses.claim_due()
    statuses.sent(status)
    assert "Report again" in page()
    client.post(reverse("run_report", args=["acme-vision", "decision-trees", "1.0.0", 1]))
    assert CommitStatus.objects.get().next_at is not None
