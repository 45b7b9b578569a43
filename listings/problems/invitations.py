"""Invitations into a team."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem


def _invitation(code: str, title: str, cause: str, remedy: str) -> Problem:
    return Problem(f"INVITATION-{code}", Owner.SELLER, title, cause, remedy, NextAction.FIX_INPUT)


PROBLEMS: tuple[Problem, ...] = (
    _invitation("UNKNOWN", "This is no invitation", "The link was cut off or changed on its way.",
                "Open the link in the mail again, or copy all of it into the address line."),
    _invitation("REPLACED", "A newer mail replaced this link", "The invitation to {team} was sent again.",
                "Use the link in the latest mail."),
    _invitation("EXPIRED", "The invitation is too old", "It could be accepted until {expires}.",
                "Ask an owner of {team} to send it again."),
    _invitation("REVOKED", "The invitation was taken back", "An owner of {team} withdrew it.",
                "If you think that was a mistake, ask them to invite you again."),
    _invitation("USED", "The invitation was accepted already", "Somebody is a member of {team} by it.",
                "If that was you, sign in with that account; otherwise ask an owner of {team} for an invitation."),
    _invitation("OTHER-ADDRESS", "The invitation is for another address",
                "It was sent to {email}, which is not a confirmed address of your account.",
                "Sign in with the account of that address, or add it to yours and confirm it; "
                "then open the link again."),
    _invitation("OPEN", "An invitation is open already", "{email} was invited and has not answered.",
                "Send it again, or revoke it to invite them with another role."),
    _invitation("CLOSED", "The invitation is closed", "It was accepted or revoked meanwhile.", "Load the page again."),
    _invitation("JUST-SENT", "That was sent a moment ago", "The last mail to {email} left less than {minutes} minutes "
                "ago.", "Copy the link and hand it over yourself, or wait."),
    _invitation("TOO-MANY", "Too many invitations today", "At most {limit} are sent within a day.",
                "Go on tomorrow."),
)  # fmt: skip
