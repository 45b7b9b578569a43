"""Which runs are reported to the code host, and what becomes of a report that is not taken."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from listings.models import CommitStatus, Listing, ListingSource, Run, SourceKind
from listings.problems import ProblemError
from listings.reports import ProblemReport
from listings.services import runs, statuses, versions
from listings.services.origins import Origin
from tests import flow

URL = "https://code.example.com/acme/vision.git"
COMMIT = "c0ffee" + "0" * 34


@pytest.fixture
def source(listing: Listing) -> ListingSource:
    return ListingSource.objects.create(
        listing=listing, kind=SourceKind.GIT, git_url=URL, git_ref="main", status_provider="github"
    )


def start(seller: Any, listing: Listing, *, number: str = "1.0.0", commit: str = COMMIT, url: str = URL) -> Run:
    origin = Origin(SourceKind.GIT, git_url=url, git_ref="main", git_commit=commit)
    version = versions.create_version(seller, listing, number=number, source=origin)
    return versions.submit_version(seller, version)


def states(run: Run) -> list[str]:
    return [status.state for status in statuses.reports_of(run)]


def test_a_run_is_reported_when_it_starts_and_when_it_ends(seller: Any, listing: Listing, source: Any) -> None:
    run = start(seller, listing)
    assert states(run) == ["pending"]
    flow.run_through(run)
    assert states(run) == ["pending", "success"]


def test_a_failed_and_a_cancelled_run_are_no_success(seller: Any, listing: Listing, source: Any) -> None:
    failed, cancelled = start(seller, listing), start(seller, listing, number="1.0.1")
    flow.end(failed, "fetch", flow.failed("SOURCE-NO-SPEC"))
    runs.cancel_run(seller, cancelled)
    assert (states(failed), states(cancelled)) == (["pending", "failure"], ["pending", "failure"])


def test_a_retried_step_takes_a_failure_back(seller: Any, listing: Listing, source: Any) -> None:
    run = start(seller, listing)
    flow.end(run, "fetch", flow.failed("SOURCE-NO-SPEC"))
    runs.retry_step(seller, flow.step_of(run, "fetch"))
    assert states(run) == ["pending", "failure", "pending"]


def test_another_repository_than_the_listings_is_not_reported(seller: Any, listing: Listing, source: Any) -> None:
    assert states(start(seller, listing, url="https://code.example.com/other/fork.git")) == []


def test_without_a_provider_nothing_is_reported(seller: Any, listing: Listing, source: ListingSource) -> None:
    source.status_provider = ""
    source.save()
    assert states(start(seller, listing)) == []


def test_a_report_is_claimed_once_and_again_when_its_sender_died(seller: Any, listing: Listing, source: Any) -> None:
    run = start(seller, listing)
    now = timezone.now()
    assert [status.run_id for status, _ in statuses.claim_due(now)] == [run.pk]
    assert statuses.claim_due(now) == []
    assert len(statuses.claim_due(now + timedelta(seconds=61))) == 1


@pytest.mark.parametrize("is_taken", [True, False], ids=["taken", "answer lost"])
def test_a_report_that_lands_after_a_later_one_has_the_later_one_sent_again(
    is_taken: bool, seller: Any, listing: Listing, source: Any
) -> None:
    run = start(seller, listing)
    [(pending, _)] = statuses.claim_due()
    flow.run_through(run)
    [(success, _)] = statuses.claim_due()
    statuses.sent(success)
    assert statuses.claim_due() == []
    if is_taken:
        statuses.sent(pending)
    else:
        statuses.not_sent(pending, ProblemReport("STATUS-UNREACHABLE", {"host": "x", "detail": "y"}), passing=True)
    later = timezone.now() + timedelta(minutes=2)
    [(again, _)] = statuses.claim_due(later)
    assert (again.pk, again.state) == (success.pk, "success")
    statuses.sent(again)
    assert statuses.claim_due(later) == []


def test_of_two_reports_that_were_on_their_way_together_the_latest_is_sent_again(
    seller: Any, listing: Listing, source: Any
) -> None:
    run = start(seller, listing)
    [(pending, _)] = statuses.claim_due()
    flow.run_through(run)
    [(success, _)] = statuses.claim_due()
    statuses.sent(pending)
    statuses.sent(success)
    [(again, _)] = statuses.claim_due()
    assert again.pk == success.pk
    statuses.sent(again)
    assert statuses.claim_due() == []


def test_what_passes_is_tried_again_ever_more_slowly_and_given_up(seller: Any, listing: Listing, source: Any) -> None:
    start(seller, listing)
    now, waits = timezone.now(), []
    problem = ProblemReport("STATUS-UNREACHABLE", {"host": "code.example.com", "detail": "down"})
    while claimed := statuses.claim_due(now + timedelta(days=1)):
        before = timezone.now()
        statuses.not_sent(claimed[0][0], problem, passing=True)
        row = CommitStatus.objects.get()
        if row.next_at is not None:
            waits.append(round((row.next_at - before).total_seconds()))
    assert waits == [15, 30, 60, 120, 240, 480, 960, 1200]
    assert CommitStatus.objects.get().problem_code == "STATUS-UNREACHABLE"


def test_a_refusal_is_not_repeated_until_somebody_asks(seller: Any, listing: Listing, source: Any) -> None:
    run = start(seller, listing)
    [(status, _)] = statuses.claim_due()
    statuses.not_sent(status, ProblemReport("STATUS-DENIED", {"host": "code.example.com"}), passing=False)
    assert statuses.claim_due(timezone.now() + timedelta(days=1)) == []
    statuses.report_again(seller, run)
    assert len(statuses.claim_due()) == 1


def test_a_newer_state_replaces_one_that_was_not_sent(seller: Any, listing: Listing, source: Any) -> None:
    run = start(seller, listing)
    flow.run_through(run)
    assert [status.state for status, _ in statuses.claim_due(timezone.now() + timedelta(hours=1))] == ["success"]


def test_a_source_that_no_longer_reports_drops_what_was_due(seller: Any, listing: Listing, source: Any) -> None:
    run = start(seller, listing)
    source.delete()
    assert statuses.claim_due() == []
    with pytest.raises(ProblemError, match="STATUS-NO-TOKEN"):
        statuses.report_again(seller, run)
