"""Accounts, teams, listings, versions, work and the platform itself."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_S, _P = Owner.SELLER, Owner.PLATFORM
_FIX, _RETRY, _CALL = NextAction.FIX_INPUT, NextAction.RETRY_STEP, NextAction.CALL_OPERATOR

PROBLEMS: tuple[Problem, ...] = (
    Problem("TEAM-NAME-MISSING", _S, "The team has no name", "No name was given.", "Give the team a name.", _FIX),
    Problem(
        "TEAM-AWS-FIELD", _S, "An AWS setting is malformed", "{field} is {value}, which is not {wanted}.",
        "Copy the value from the AWS console; {wanted} is needed.", _FIX,
        "SageMaker and Marketplace Catalog API shapes",
    ),
    Problem(
        "TEAM-AWS-MISSING", _S, "The team is not connected to AWS",
        "{team} has no {fields}, so there is nowhere to push to.",
        "An owner fills in the AWS connection on the team's page; then retry this step.", _RETRY,
    ),
    Problem(
        "MEMBER-UNKNOWN", _S, "Nobody has that address", "No account uses {email}.",
        "Ask them to sign up with that address, then add them.", _FIX,
    ),
    Problem(
        "MEMBER-ALREADY", _S, "Already a member", "{email} is in the team already.", "Change the role instead.", _FIX
    ),
    Problem("MEMBER-GONE", _S, "No longer a member", "They left, or were removed meanwhile.", "Load the page again.",
            _FIX),
    Problem("SLUG-RACE", _P, "Too many made the same at once", "No address was free for {name}.",
            "Try again in a moment.", _RETRY),
    Problem(
        "MEMBER-LAST-OWNER", _S, "A team needs an owner", "This is the last owner of {team}.",
        "Make somebody else an owner first.", _FIX,
    ),
    Problem(
        "LISTING-PRODUCT-ID", _S, "Not a Marketplace product id", "{value} does not look like prod-abcd1234.",
        "Copy the product id from the AWS Marketplace Management Portal, or leave it empty until it exists.", _FIX,
        "Marketplace Catalog API, MachineLearningProduct@1.0",
    ),
    Problem(
        "LISTING-ARCHIVED", _S, "The listing is archived", "{listing} takes no new versions.",
        "Restore the listing first.", _FIX,
    ),
    Problem("VERSION-NUMBER", _S, "Not a semantic version", "{number} is not of the form 1.2.3 or 1.2.3-rc.1.",
            "Use MAJOR.MINOR.PATCH, with a pre-release if you like; build metadata (+…) is not used.", _FIX,
            "Semantic Versioning 2.0.0"),
    Problem("VERSION-TAKEN", _S, "That version exists", "{listing} has a version {number}; versions never change.",
            "Choose the next number.", _FIX),
    Problem("VERSION-SUBMITTED", _S, "The version was submitted already", "{number} can no longer be changed.",
            "Make a new version.", _FIX),
    Problem("RUN-ACTIVE", _S, "A run is under way", "Run {number} of this version has not ended.",
            "Wait for it, or cancel it.", _FIX),
    Problem("RUN-NOT-LATEST", _S, "A newer run exists", "Run {number} is not the latest of its version.",
            "Work on the latest run.", _FIX),
    Problem("RUN-SUPERSEDED", _S, "A newer commit took this run's place",
            "Run {number} was ended before it began, as a newer commit had come to its branch.",
            "To build this commit after all, run its version again.", _FIX),
    Problem("RUN-RELEASED", _S, "A release stands on this version",
            "The open release of {number} is pinned to a run; another run would change what is approved.",
            "Withdraw the release first, or make a new version.", _FIX),
    Problem("STEP-NOT-RETRYABLE", _S, "This step cannot be retried", "{step} is {state}.",
            "Only a step that ended without success can be retried.", _FIX),
    Problem("PLATFORM-UNEXPECTED", _P, "Slipway made a mistake",
            "An error that Slipway did not foresee ended this attempt; its id is {attempt}.",
            "It was recorded with its traceback. Retry the step; if it happens again, give the id to your operator.",
            _RETRY),
    Problem("PLATFORM-WORKER-LOST", _P, "The worker disappeared",
            "The worker {worker} stopped giving signs of life while it ran this step.",
            "Nothing to change: the step was queued again, up to {limit} times.", _RETRY),
    Problem("PLATFORM-DISK-FULL", _P, "The disk of Slipway's host is full",
            "Something could not be written: {reason}.",
            "Nothing is wrong with your version, and nothing that was stored is lost. The operator frees space on the "
            "disk that holds SLIPWAY_DATA_DIR, the temporary files or the database; then try again.", _RETRY),
    Problem("PLATFORM-DATABASE-AWAY", _P, "The database went away",
            "The database did not answer while this was done, and was not back in time.",
            "Nothing is wrong with your version. Retry the step once the database answers again.", _RETRY),
    Problem("PLATFORM-TIMEOUT", _S, "The step took too long", "{step} ran for longer than {limit}.",
            "Make the step faster, or ask the operator to raise its limit; then retry the step.", _RETRY),
    Problem("SECRET-UNREADABLE", _P, "A stored secret cannot be read",
            "None of the installation's encryption keys opens it.",
            "The operator puts the old key back into SLIPWAY_ENCRYPTION_KEYS, or an owner rotates the secret.", _CALL),
    Problem("CREDENTIAL-UNKNOWN", _S, "That credential cannot be used here", "It belongs to another team.",
            "Choose one of this team's.", _FIX),
    Problem("PLATFORM-BLOB-LOST", _P, "A stored file is missing", "Storage no longer has the file {sha256}.",
            "The operator restores storage from its backup, or the file is uploaded again.", _CALL),
)  # fmt: skip
