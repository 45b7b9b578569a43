"""Runs in people's hands: run again, cancel, retry one step."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from listings import links
from listings.access import Permission, require
from listings.models import Run, Step, Version
from listings.models.runs import Trigger
from listings.problems import ProblemError
from listings.services import audit, planning
from listings.states import RELEASE_OPEN, STEP_UNSUCCESSFUL, RunState, VersionState


@transaction.atomic
def run_again(user: Any, version: Version) -> Run:
    """Start a new run of a submitted version. Raises ProblemError RUN-ACTIVE, RUN-RELEASED or VERSION-DRAFT."""
    require(user, Permission.DEVELOP, version.listing.team)
    if version.state != VersionState.SUBMITTED:
        raise ProblemError("VERSION-DRAFT", number=version.number)
    _not_released(version)
    try:
        with transaction.atomic():
            run = planning.start_run(version, user, Trigger.RERUN)
    except IntegrityError:
        active = version.runs.filter(state=RunState.ACTIVE).first()
        raise ProblemError("RUN-ACTIVE", number=active.number if active else "?") from None
    audit.record(user, "run.start", run, listing=version.listing, url=links.run(run))
    return run


def _not_released(version: Version) -> None:
    if version.releases.filter(state__in=RELEASE_OPEN).exists():
        raise ProblemError("RUN-RELEASED", number=version.number)


@transaction.atomic
def cancel_run(user: Any, run: Run) -> None:
    """Stop a run: what is queued ends now, what is running is told to stop. Does nothing to an ended run."""
    require(user, Permission.DEVELOP, run.version.listing.team)
    planning.hold(run)
    if planning.stop(user, run):
        audit.record(user, "run.cancel", run, listing=run.version.listing, url=links.run(run))
        planning.plan(run)


@transaction.atomic
def retry_step(user: Any, step: Step) -> None:
    """Try one unsuccessful step of the latest run again; what it blocked follows.

    Raises ProblemError STEP-NOT-RETRYABLE, RUN-NOT-LATEST, RUN-SUPERSEDED or RUN-RELEASED. The run reopens in the
    same transaction, so that no other run of the version can start in between.
    """
    run = step.run
    assert run is not None, "steps of a release are resumed through the release"
    require(user, Permission.DEVELOP, run.version.listing.team)
    planning.hold(run)
    if run.version.runs.filter(number__gt=run.number).exists():
        raise ProblemError("RUN-NOT-LATEST", number=run.number)
    if run.superseded:
        raise ProblemError("RUN-SUPERSEDED", number=run.number)
    _not_released(run.version)
    if step.state not in STEP_UNSUCCESSFUL or planning.queue_attempt(step, f"retried by {user}") is None:
        raise ProblemError("STEP-NOT-RETRYABLE", step=step.get_name_display(), state=step.get_state_display().lower())
    audit.record(user, "step.retry", f"{run}: {step.name}", listing=run.version.listing, url=links.run(run))
    try:
        planning.plan(run)
    except IntegrityError:  # another run of the version became active meanwhile
        raise ProblemError("RUN-NOT-LATEST", number=run.number) from None
