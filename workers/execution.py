"""One attempt in a worker: claim, execute the step under a heartbeat, finish."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from listings import blobs, mishaps
from listings.models import Attempt, Blob, Instance, Release
from listings.problems import ProblemError
from listings.reports import ProblemReport, StepReport
from listings.services import leases, releases, verdicts
from listings.states import AttemptState, StepName
from workers import spans
from workers.engine import attempt_labels
from workers.heartbeat import Heartbeat
from workers.logs import AttemptLog
from workers.steps.contract import StepContext, StepStopped, Stop, StopReason

logger = logging.getLogger(__name__)


def spool_dir() -> Path:
    """Spools of this worker host; hosts may share the data directory."""
    return Path(settings.SLIPWAY.data_dir) / "spool" / settings.SLIPWAY.worker_host


def work_dir() -> Path:
    """Working folders of this worker host."""
    return Path(settings.SLIPWAY.data_dir) / "work" / settings.SLIPWAY.worker_host


def worker_name() -> str:
    return f"{settings.SLIPWAY.worker_host}:{os.getpid()}"


def run_attempt(attempt_id: UUID) -> AttemptState | None:
    """Claim and execute one attempt. Returns how it ended, or None if it was not this worker's to run."""
    claim = leases.claim(attempt_id, worker_name())
    if claim is None:
        return None
    attempt = Attempt.objects.select_related(
        "step__run__version__listing__team", "step__release__version__listing__team", "step__release__run", "log"
    ).get(pk=attempt_id)
    step = attempt.step
    owner = {"run": str(step.run_id)} if step.run_id else {"release": str(step.release_id)}
    with structlog.contextvars.bound_contextvars(
        **owner, version=str(step.version), step=step.name, attempt=str(attempt_id)
    ):
        return _run(leases.Claim(attempt, claim.lease))


def _run(claim: leases.Claim) -> AttemptState | None:
    stop = Stop()
    logger.info("attempt started")
    with Heartbeat(claim, stop) as heartbeat, mishaps.patient(heartbeat.seconds_left):
        try:
            state = _run_with_log(claim, stop)
        except leases.LeaseLost:
            # Somebody else decides now; the reaper of this host keeps the log.
            logger.warning("lease lost; nothing was written")
            return None
        except (OperationalError, InterfaceError) as error:
            # The lease runs out; then the step is tried again.
            logger.warning("the database was away for longer than the lease: %s", error)
            return None
    logger.info("attempt ended", extra={"state": state})
    return state


def _run_with_log(claim: leases.Claim, stop: Stop) -> AttemptState:
    try:
        with _log_of(claim.attempt) as log, _workdir() as workdir:
            with spans.record() as recorder:
                report, target = _execute(claim.attempt, log, stop, workdir)
            return _end(claim, replace(report, spans=recorder.merged()), target, log)
    except OSError as error:
        # Neither a log nor a folder to work in could be made.
        problem = mishaps.problem_of(error)
        if problem is None:
            raise
        logger.warning("attempt not begun: %s", problem)
        report = StepReport(problem=problem.report)
        return mishaps.outlast(lambda: leases.finish(claim.attempt.pk, claim.lease, report))


def _log_of(attempt: Attempt) -> AttemptLog:
    config = settings.SLIPWAY
    owner = attempt.step.run_id or attempt.step.release_id
    assert owner is not None
    previous = _log_so_far(attempt)
    secrets = [config.staging_password.get_secret_value(), settings.SECRET_KEY]
    return AttemptLog(
        attempt.pk, owner, attempt.step.name, config.redis_url, spool_dir(), [s for s in secrets if s],
        number=attempt.number, previous=previous,
    )  # fmt: skip


def _log_so_far(attempt: Attempt) -> IO[bytes] | None:
    """Of an attempt that was parked. One that a restored backup lacks costs its lines, not the attempt."""
    if attempt.log is None:
        return None
    try:
        return blobs.open_blob(attempt.log.sha256)
    except FileNotFoundError:
        logger.warning("the log so far is not in storage: %s", attempt.log.sha256)
        return None


@contextmanager
def _workdir() -> Iterator[Path]:
    root = work_dir()
    root.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=root))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _execute(attempt: Attempt, log: AttemptLog, stop: Stop, workdir: Path) -> tuple[StepReport, AttemptState | None]:
    """The step's report, and the end that overrides it (timed out, cancelled)."""
    try:
        context = _context(attempt, log, stop, workdir)
        if attempt.step.release is not None:
            releases.begin_step(attempt.step)
        report: StepReport = _step(StepName(attempt.step.name)).execute(context)
        return report, None
    except ProblemError as error:
        if stop.reason is not None:
            return _stopped(attempt, stop.reason)
        return StepReport(problem=error.report), None
    except StepStopped as stopped:
        return _stopped(attempt, stopped.reason)
    except Exception as error:
        if stop.reason is not None:
            # A container killed under a step's feet makes it stumble; the reason is the stop, not the stumble.
            return _stopped(attempt, stop.reason)
        mishap = mishaps.problem_of(error)
        if mishap is not None:
            logger.warning("step ended: %s", mishap)
            return StepReport(problem=mishap.report), None
        logger.exception("step crashed")
        log.line(f"Slipway made a mistake; its id is {attempt.pk}.", "slipway")
        return StepReport(problem=ProblemReport("PLATFORM-UNEXPECTED", {"attempt": str(attempt.pk)})), None


def load_steps() -> None:
    """Import every step: the processes of a pool share what their parent has loaded, its time and its memory."""
    for name in StepName:
        _step(name)


def _step(name: StepName) -> Any:
    return importlib.import_module(f"workers.steps.{name.value}")


def _stopped(attempt: Attempt, reason: StopReason) -> tuple[StepReport, AttemptState]:
    if reason is StopReason.TIMED_OUT:
        limit = f"{settings.SLIPWAY.step_timeout(attempt.step.name):.0f} s"
        problem = ProblemReport("PLATFORM-TIMEOUT", {"step": attempt.step.get_name_display(), "limit": limit})
        return StepReport(problem=problem), AttemptState.TIMED_OUT
    return StepReport(), AttemptState.CANCELLED


def _context(attempt: Attempt, log: AttemptLog, stop: Stop, workdir: Path) -> StepContext:
    step = attempt.step
    return StepContext(
        attempt=attempt, version=step.version, run=step.run, release=step.release, facts=_facts(attempt), log=log,
        stop=stop, workdir=workdir,
        labels=attempt_labels(str(Instance.current_id()), settings.SLIPWAY.worker_host, attempt.pk),
    )  # fmt: skip


def _facts(attempt: Attempt) -> dict[str, dict[str, Any]]:
    """What earlier steps established: those of the run, and for a release also its own."""
    owner = attempt.step.owner
    if not isinstance(owner, Release):
        return verdicts.facts_of(owner)
    facts = verdicts.facts_of(owner.run)
    done = Attempt.objects.filter(step__release=owner, state=AttemptState.SUCCEEDED).select_related("step")
    return facts | {row.step.name: row.facts for row in done.order_by("number")}


def _end(claim: leases.Claim, report: StepReport, target: AttemptState | None, log: AttemptLog) -> AttemptState:
    if not connection.in_atomic_block:
        # Idle since the step began: a database that restarted meanwhile must not cost an hour's work.
        connection.close()
    stored, lines = _store_log(log)
    state = mishaps.outlast(lambda: _write_end(claim, report, target, stored, lines))
    if stored is not None:
        log.discard()
        previous = claim.attempt.log_id
        if previous and previous != stored.pk:
            # The log so far of an attempt that was parked; the new one begins with it.
            blobs.discard(previous)
    return state


def _write_end(
    claim: leases.Claim, report: StepReport, target: AttemptState | None, log: Blob | None, lines: int
) -> AttemptState:
    if report.poll_after is not None and target is None:
        return leases.park(claim.attempt.pk, claim.lease, report, log=log, log_lines=lines)
    return leases.finish(claim.attempt.pk, claim.lease, report, log=log, log_lines=lines, target=target)


def _store_log(log: AttemptLog) -> tuple[Blob | None, int]:
    """The stored log and its lines. None where it cannot be stored now: the reaper does it from the spool."""
    try:
        finished = log.finish()
        with finished.open() as packed:
            return blobs.store(packed), finished.lines
    except (OSError, ProblemError) as error:
        logger.warning("the log stays in the spool: %s", error)
        return None, 0
