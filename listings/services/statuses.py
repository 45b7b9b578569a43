"""What the code host is told of a run: one CommitStatus per change, sent by the control worker."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from listings import links
from listings.access import Permission, require
from listings.models import CommitStatus, ListingSource, Run, SourceKind, StatusState
from listings.problems import ProblemError
from listings.reports import ProblemReport
from listings.services import audit
from listings.states import RunState

_STATE = {RunState.ACTIVE: StatusState.PENDING, RunState.PASSED: StatusState.SUCCESS}
#: A sender that died holds a report for no longer than this.
_HELD = timedelta(seconds=60)
_LOOKED_AT = 200
_FIRST_WAIT = timedelta(seconds=15)
_TRIES = 9  # 15 s, doubled each time: given up after about an hour
_WAITS_AT_MOST = timedelta(minutes=20)


def state_of(run: Run) -> StatusState:
    """How a code host would put it; a cancelled or superseded run is no success."""
    return _STATE.get(RunState(run.state), StatusState.FAILURE)


def report(run: Run) -> None:
    """Note that the code host is to be told of the run's state, if the source says so and a commit is known."""
    version = run.version
    if version.source_kind != SourceKind.GIT or not version.git_commit or _source_of(run) is None:
        return
    state = state_of(run)
    last = run.commit_statuses.order_by("-created_at").first()
    if last is not None and last.state == state:
        return
    with transaction.atomic():
        # What was not sent yet is old news.
        run.commit_statuses.filter(next_at__isnull=False).update(next_at=None)
        CommitStatus.objects.create(run=run, state=state, next_at=timezone.now())


def _source_of(run: Run) -> ListingSource | None:
    """The standing source that says where to report, if it is the repository that the version came from."""
    found = ListingSource.objects.filter(listing_id=run.version.listing_id).exclude(status_provider="").first()
    return found if found is not None and found.git_url == run.version.git_url else None


def claim_due(now: datetime | None = None, *, limit: int = 3) -> list[tuple[CommitStatus, ListingSource]]:
    """Reports that are due, held for this sender; those whose source no longer reports are dropped."""
    now = now or timezone.now()
    claimed: list[tuple[CommitStatus, ListingSource]] = []
    due = CommitStatus.objects.filter(next_at__lte=now).select_related("run__version__listing__team")
    for status in due.order_by("next_at")[:_LOOKED_AT]:
        source = _source_of(status.run)
        until = now + _HELD if source is not None else None
        rows = CommitStatus.objects.filter(pk=status.pk, next_at=status.next_at)
        if rows.update(next_at=until) and source is not None:
            status.next_at = until
            claimed.append((status, source))
        if len(claimed) == limit:
            break
    return claimed


def sent(status: CommitStatus) -> None:
    """The code host took it. Where another report of the version was on its way at the same time, the latest is sent
    once more: which of two the host took last is not known, and the last one is what it shows."""
    now = timezone.now()
    rows = CommitStatus.objects.filter(pk=status.pk)
    rows.update(sent_at=now, problem_code="", problem_params={})
    overtaken = status.next_at is not None and _others(status).filter(
        created_at__lt=status.created_at, sent_at__gte=status.next_at - _HELD
    ).exists()  # fmt: skip
    rows.filter(next_at=status.next_at).update(next_at=now if overtaken else None)
    _send_latest_again(status)


def _others(status: CommitStatus) -> QuerySet[CommitStatus]:
    """Reports about the same commit, in the same name."""
    return CommitStatus.objects.filter(run__version_id=status.run.version_id)


def _send_latest_again(status: CommitStatus) -> None:
    """If it was sent while the older ``status`` was on its way."""
    latest = _others(status).order_by("-created_at").first()
    if latest is not None and latest.created_at > status.created_at and latest.sent_at is not None:
        CommitStatus.objects.filter(pk=latest.pk, next_at=None).update(next_at=timezone.now(), tries=0)


def not_sent(status: CommitStatus, problem: ProblemReport, *, passing: bool) -> None:
    """The code host did not take it. What is ``passing`` is tried again, ever more slowly, for about an hour.

    What else is to be told of the listing waits as long: a host that does not answer must not be asked once for each.
    """
    tries = status.tries + 1
    wait = min(_FIRST_WAIT * 2**status.tries, _WAITS_AT_MOST)
    again = timezone.now() + wait if passing and tries < _TRIES else None
    CommitStatus.objects.filter(pk=status.pk, next_at__isnull=False).update(
        tries=tries, next_at=again, problem_code=problem.code, problem_params=dict(problem.params)
    )
    _send_latest_again(status)  # the host may have taken it, and its answer was lost
    if again is not None:
        listing = status.run.version.listing_id
        CommitStatus.objects.filter(run__version__listing_id=listing, next_at__lt=again).update(next_at=again)


@transaction.atomic
def report_again(user: Any, run: Run) -> None:
    """Send the latest report of a run once more. Raises ProblemError STATUS-NO-TOKEN if nothing is to be reported."""
    require(user, Permission.DEVELOP, run.version.listing.team)
    last = run.commit_statuses.order_by("-created_at").first()
    if last is None or _source_of(run) is None:
        raise ProblemError("STATUS-NO-TOKEN", host="no code host")
    CommitStatus.objects.filter(pk=last.pk).update(next_at=timezone.now(), tries=0)
    audit.record(user, "run.report_again", run, listing=run.version.listing, url=links.run(run))


def reports_of(run: Run) -> Iterable[CommitStatus]:
    """The run's reports, oldest first."""
    return run.commit_statuses.order_by("created_at")
