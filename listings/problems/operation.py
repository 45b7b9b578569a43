"""Problems of this area: what keeps a worker from taking work, or the portal from serving."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_GUIDE = "Slipway's operating guide, section Health"


def _problem(code: str, title: str, cause: str, remedy: str) -> Problem:
    return Problem(code, Owner.PLATFORM, title, cause, remedy, NextAction.CALL_OPERATOR, _GUIDE)


PROBLEMS: tuple[Problem, ...] = (
    _problem(
        "STAGING-UNREACHABLE",
        "The staging registry does not answer",
        "The worker could not speak to {registry}: {reason}.",
        "Start the registry, or correct SLIPWAY_STAGING_REGISTRY_WORKER. Work goes on by itself once it answers.",
    ),
    _problem(
        "STAGING-SIGN-IN",
        "The staging registry refuses our sign-in",
        "{registry} answered {status} to the worker's user name and password.",
        "Give the worker the registry's own SLIPWAY_STAGING_USERNAME and SLIPWAY_STAGING_PASSWORD, and restart it.",
    ),
    _problem(
        "HOST-DISK-LOW",
        "The disk is nearly full",
        "{place} has {free_mb} MB left; {floor_mb} MB must stay free.",
        "Free space there, or lower SLIPWAY_DISK_FLOOR_MB. Work goes on by itself once there is room.",
    ),
    _problem(
        "HOST-DISK-UNWRITABLE",
        "A folder cannot be written",
        "Writing to {place} failed: {reason}.",
        "Give the process a writable SLIPWAY_DATA_DIR. Work goes on by itself once it can be written.",
    ),
    _problem(
        "HOST-TOOL-MISSING",
        "A program is missing",
        "The worker's host has no {tool}, which {what}.",
        "Install {tool} on the worker's host. Work goes on by itself once it is found.",
    ),
    _problem(
        "ENGINE-SLOW",
        "The Docker Engine is slow",
        "It answers pings, but a call took more than {seconds} s.",
        "Look what keeps the engine's host busy: its disk, its memory, other containers.",
    ),
    _problem(
        "WORKER-UNPREPARED",
        "The worker could not prepare itself",
        "Preparing the engine failed: {reason}.",
        "Look into the worker's log. It tries again by itself.",
    ),
    _problem(
        "WORKER-PREPARING",
        "The worker prepares itself",
        "It asks its engine, its registry and its disk, and proves that builds can be limited.",
        "Nothing: this takes less than a minute after a worker's start.",
    ),
    _problem(
        "WORKER-GONE",
        "No {queue} worker gives a sign of life",
        "{detail}",
        "Start one: the operating guide, section Processes, has the command.",
    ),
    _problem(
        "WORKER-SILENT",
        "A worker went without a word",
        "It gave its last sign of life {ago}. What it held is taken over by others.",
        "Start it again, or nothing, if it is meant to be gone: it is not shown after a day.",
    ),
    _problem(
        "CLOCK-SILENT",
        "The clock does not tick",
        "{detail} Nothing new is planned, and what dead workers held is not taken over.",
        "Start the clock (celery beat) and a control worker: the operating guide, section Processes, has the commands.",
    ),
    _problem(
        "QUEUE-OLD",
        "Work has waited for long",
        "The oldest attempt in the queue {queue} has waited for {age}; {waiting} wait.",
        "See below what they wait for. If workers are busy all the time, start one more.",
    ),
    _problem(
        "RUN-STUCK",
        "A run makes no progress",
        "{run} is active, but nothing of it waits or runs since {age}.",
        "See that the clock ticks and a control worker lives; if both do, cancel the run and start it again.",
    ),
    _problem(
        "POLL-OVERDUE",
        "AWS should have been asked again",
        "{step} of {version} was due {age} ago.",
        "See that the clock ticks and that control workers have free slots.",
    ),
    _problem(
        "DELIVERY-FAILED",
        "Deliveries failed on our side",
        "{count} in the last day; the latest for {listing}.",
        "Open the listing's deliveries, look at the reason, and replay them.",
    ),
    _problem(
        "MAIL-UNSENT",
        "Mail could not be sent",
        "{count} notices of the last week were not mailed; they stand in the bell menu all the same.",
        "Check SLIPWAY_MAIL_URL and the mail server; the portal's and workers' logs have its answer.",
    ),
    _problem(
        "DATABASE-UNREACHABLE",
        "The database does not answer",
        "Asking it failed: {reason}.",
        "Start the database, or correct DATABASE_URL.",
    ),
    _problem(
        "DATABASE-MIGRATIONS",
        "The database is behind this release",
        "{count} migrations have not been applied.",
        "Run manage.py migrate.",
    ),
    _problem(
        "BROKER-UNREACHABLE",
        "Redis does not answer",
        "Asking it failed: {reason}. Nothing is lost: live logs stand still, and queued work waits.",
        "Start Redis, or correct REDIS_URL.",
    ),
    _problem(
        "STORAGE-UNWRITABLE",
        "Storage cannot be written",
        "Writing a file failed: {reason}.",
        "Give every process a writable SLIPWAY_DATA_DIR, shared between hosts.",
    ),
    _problem(
        "STORAGE-LOW",
        "Storage is nearly full",
        "{free_mb} MB are left; {floor_mb} MB must stay free.",
        "Free space, or lower SLIPWAY_DISK_FLOOR_MB.",
    ),
    _problem(
        "DEPENDENCY-FAILED",
        "A dependency could not be asked",
        "Asking it ended in {reason}, which Slipway did not foresee.",
        "Look into the portal's log.",
    ),
    _problem(
        "DEPENDENCY-SLOW",
        "{name} takes too long to answer",
        "It gave no answer within {seconds} s.",
        "Look whether it hangs or is overloaded.",
    ),
)
