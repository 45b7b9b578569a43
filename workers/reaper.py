"""Removes what dead attempts left on this worker host: in the engine, in the spool, and on the disk.

Only this installation's things, only this host's: another Slipway on the same engine is never touched.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections import Counter
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from listings import blobs
from listings.models import Attempt, Instance
from listings.problems import ProblemError
from listings.states import ATTEMPT_OPEN, AttemptState
from workers import engine as engines
from workers import execution, tally
from workers import logs as attempt_logs
from workers.building import remove_build_leftovers

logger = logging.getLogger(__name__)


def reap(*, with_engine: bool = True) -> Counter[str]:
    """One round. Returns how many of each kind went: container, volume, network, image (its name), log, folder.

    The spool and the disk come first: they need no engine. Raises what the engine's adapter raises.
    """
    reaped: Counter[str] = Counter()
    try:
        # Folders first: on a full disk they make the room that logs need.
        reaped["folder"] = _reap_folders()
        reaped["log"] = _reap_spools()
        if with_engine:
            reaped += _reap_engine()
    finally:
        reaped = +reaped
        if reaped:
            logger.info("reaped %s", ", ".join(f"{count} {kind}" for kind, count in sorted(reaped.items())))
            _remember(reaped)
    return reaped


def held_attempts() -> set[str]:
    """Ids of the attempts that a worker holds under a lease that has not run out."""
    rows = Attempt.objects.filter(
        state__in=(AttemptState.RUNNING, AttemptState.CANCELLING), lease__isnull=False,
        lease_expires_at__gt=timezone.now(),
    )  # fmt: skip
    return {str(pk) for pk in rows.values_list("pk", flat=True)}


def _remember(reaped: Counter[str]) -> None:
    try:
        tally.add(reaped)
    except OSError as error:
        logger.warning("what was reaped could not be counted: %s", error.strerror)


def _reap_engine() -> Counter[str]:
    instance, host = str(Instance.current_id()), settings.SLIPWAY.worker_host
    engine = engines.connect()
    try:
        # Listed before asking who is held: what appears in between belongs to a live attempt.
        owned, names = engine.owned(instance, host), engine.references()
        held = held_attempts()
        went = remove_build_leftovers(engine, instance, host, held)
        went += engine.remove([thing for thing in owned if thing.attempt and thing.attempt not in held])
        _reap_references(engine, names, held)
        return _gone(owned, engine.owned(instance, host), held) if went else Counter()
    finally:
        engine.close()


def _reap_references(engine: engines.Engine, names: list[str], held: set[str]) -> None:
    """Drop the names by which a test that died had pulled a staged image. Staging repositories are never shared: each
    belongs to one attempt of this installation, and its run alone may be testing it."""
    prefix = f"{settings.SLIPWAY.staging_registry_engine}/"
    for name in (name for name in names if name.startswith(prefix) and "@" in name):
        repository = name.removeprefix(prefix).partition("@")[0]
        staged = Attempt.objects.filter(facts__staging_repository=repository).values_list("step__run", flat=True)
        runs = [run for run in staged if run is not None]
        if runs and not Attempt.objects.filter(step__run__in=runs, pk__in=held).exists():
            logger.info("dropping %s, left by a test that died", name)
            engine.remove_image(name)


def _gone(before: list[engines.Owned], after: list[engines.Owned], held: set[str]) -> Counter[str]:
    """By kind, what was there and is not any more; a container's own image name goes with it."""
    left = {thing.id for thing in after}
    gone = [thing for thing in before if thing.id not in left and thing.attempt not in held]
    named = sum(engines.LABEL_TAG in thing.labels for thing in gone if thing.kind == "container")
    counts = Counter(thing.kind for thing in gone)
    counts["image"] += named
    return +counts


def _reap_spools() -> int:
    """Turn the spools of attempts that ended without their worker into stored logs."""
    directory, count = execution.spool_dir(), 0
    for attempt_id in attempt_logs.leftovers(directory):
        attempt = Attempt.objects.filter(pk=attempt_id).first()
        if attempt is not None and attempt.state in ATTEMPT_OPEN:
            continue
        try:
            count += _keep_log_alone(directory, attempt_id, attempt)
        except (OSError, ProblemError) as error:
            # Such as a full disk: the spool stays until there is room, and keeps nothing else from being reaped.
            logger.warning("the log of attempt %s could not be stored: %s", attempt_id, error)
    return count


def _keep_log_alone(directory: Path, attempt_id: UUID, attempt: Attempt | None) -> int:
    """Unless another worker of this host is at the same spool. Returns how many logs were kept: 1 or 0."""
    folder = os.open(attempt_logs.spool_path(directory, attempt_id), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _keep_log(directory, attempt_id, attempt)
    except BlockingIOError:
        return 0
    finally:
        os.close(folder)
    return 1


def _keep_log(directory: Path, attempt_id: UUID, attempt: Attempt | None) -> None:
    spool = attempt_logs.spool_path(directory, attempt_id)
    finished = None
    if attempt is not None and attempt.log_id is None:
        died = attempt.state in (AttemptState.LOST, AttemptState.CANCELLED)
        finished = attempt_logs.recover(spool, died=died)
    if finished is not None:
        with finished.open() as packed:
            blob = blobs.store(packed)
        Attempt.objects.filter(pk=attempt_id, log__isnull=True).update(log=blob, log_lines=finished.lines)
    attempt_logs.discard(spool)


def _reap_folders() -> int:
    """Remove the working folders of processes of this host that no longer exist."""
    root, count = execution.work_dir(), 0
    for folder in root.iterdir() if root.is_dir() else ():
        pid = folder.name.partition("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
