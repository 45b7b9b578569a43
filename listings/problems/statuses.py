"""Problems of reporting a run to the code host."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_S = Owner.SELLER
_FIX = NextAction.FIX_INPUT

PROBLEMS: tuple[Problem, ...] = (
    Problem("STATUS-DENIED", _S, "The code host refuses the token",
            "{host} answered {status} when the status of {commit} was reported.",
            "Give the listing's source a token that may write commit statuses, then report again.", _FIX,
            "Commit status API of the code host"),
    Problem("STATUS-NOT-FOUND", _S, "The code host does not know the commit",
            "{host} answered {status} for {repository} at {commit}.",
            "Check the API address and that the token may see the repository.", _FIX,
            "Commit status API of the code host"),
    Problem("STATUS-REFUSED", _S, "The code host refuses the status", "{host} answered {status}: {answer}",
            "Check the provider and the API address of the listing's source.", _FIX,
            "Commit status API of the code host"),
    Problem("STATUS-UNREACHABLE", _S, "The code host does not answer", "{host}: {detail}.",
            "Nothing to change if it is back by itself: reports are sent again for an hour.", _FIX),
    Problem("STATUS-NO-TOKEN", _S, "There is no token to report with",
            "The listing's source reports to {host}, but names no token.",
            "Choose an access token for reporting in the listing's source.", _FIX),
)  # fmt: skip
