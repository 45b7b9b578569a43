"""Releases and waivers: who may decide, and what must be true before."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_S, _FIX = Owner.SELLER, NextAction.FIX_INPUT

PROBLEMS: tuple[Problem, ...] = (
    Problem("VERSION-DRAFT", _S, "The version is a draft", "{number} was not submitted yet.", "Submit it first.", _FIX),
    Problem("RELEASE-NO-RUN", _S, "The version has not passed", "The latest run of {number} has not passed.",
            "Fix what fails and run it again; then request the release.", _FIX),
    Problem("RELEASE-PRERELEASE", _S, "A pre-release cannot be released",
            "{number} is a pre-release: it can be tested, but not published.",
            "Make a version without a pre-release part.", _FIX, "Semantic Versioning 2.0.0, rule 9"),
    Problem("RELEASE-GATE", _S, "The gate is closed", "{reasons}.",
            "Fix what fails in a new version, or ask an admin for a waiver where one is offered.",
            NextAction.ASK_WAIVER),
    Problem("RELEASE-DONE", _S, "The version was published already", "{number} is on the Marketplace, or was.",
            "Make a new version for what is new.", _FIX),
    Problem("RELEASE-OPEN", _S, "A release is open already", "{number} has a release that has not ended.",
            "Go on with that release, or withdraw it.", _FIX),
    Problem("RELEASE-MOVED", _S, "The release has moved on", "It is {state} now.",
            "Load the page again to see where it stands.", _FIX),
    Problem("RELEASE-NOT-YOURS", _S, "You may not decide on this release", "{reason}",
            "Ask another admin to decide.", _FIX),
    Problem("PUBLISH-VALIDATION-FAILED", _S, "The Marketplace refused the change set",
            "It was checked without being applied, and publishing it would end the same way. The reason: {reason}.",
            "Correct the listing's fields in a new version. If the cause lay in the AWS account, correct that, "
            "withdraw this release and ask again: the resource is found, and the change set is checked anew.",
            NextAction.FIX_AND_REBUILD, "AWS Marketplace Catalog API: adding a version to a machine learning product"),
    Problem("RELEASE-COMMENT-EMPTY", _S, "A comment is needed", "Nothing was written.",
            "Say what should change, or what you found.", _FIX),
    Problem("WAIVER-REASON", _S, "A reason is needed", "No reason was given.",
            "Write why; it stays in the audit history.", _FIX),
    Problem("WAIVER-RULE", _S, "This rule cannot be waived", "{rule} is not a rule that a waiver exists for.",
            "Fix what fails in a new version.", _FIX),
    Problem("WAIVER-OWN", _S, "You asked for this waiver", "Nobody grants what they asked for.",
            "Ask another admin.", _FIX),
    Problem("WAIVER-EXPIRY", _S, "The expiry lies in the past", "{expires} is over already.",
            "Choose a day to come.", _FIX),
    Problem("WAIVER-DECIDED", _S, "The waiver was decided already", "Somebody was quicker.",
            "Load the page again.", _FIX),
    Problem("POLICY-INVALID", _S, "The policy cannot be used", "{errors}.", "Correct the named parts.", _FIX),
    Problem("POLICY-RACE", _S, "Another amendment came first", "The policy changed while you wrote.",
            "Look at the new policy, then amend it again.", _FIX),
)  # fmt: skip
