"""Webhooks: what was refused, what was not built and why, and what a push could not do."""

from __future__ import annotations

from listings.problems.base import NextAction, Owner, Problem

_DOC = "Slipway, docs/webhooks.md"


def _hook(code: str, title: str, cause: str, remedy: str, source: str = _DOC) -> Problem:
    return Problem(f"HOOK-{code}", Owner.SELLER, title, cause, remedy, NextAction.FIX_INPUT, source)


_AGAIN = "Change it, then replay the delivery on its page."

# What is refused: nobody has proven to know the secret, or it is not what the provider sends.
_REFUSED = (
    _hook("UNKNOWN", "No such webhook", "No webhook has this address.",
          "Copy the address from the webhook's page; a deleted webhook's address is never used again."),
    _hook("METHOD", "Only POST is taken", "A webhook's address takes POST, not {method}.",
          "Have the code host or the registry post to it."),
    _hook("TOO-LARGE", "The body is too large", "It has more than {limit} bytes.",
          "Have the sender post pushes and tags only; a push of that size names too many commits at once."),
    _hook("SIGNATURE", "The signature does not fit", "Refused: {detail}.",
          "Copy the webhook's secret to the sender again; nobody can read it here, but you can rotate it. A proxy "
          "between the two must not change the body."),
    _hook("TIMESTAMP", "The request is too old or too new",
          "It was signed {seconds} seconds from now ({when}); at most {tolerance} are allowed.",
          "Sign each request anew, and set the sender's clock.", "Standard Webhooks 1.0, verifying timestamps"),
    _hook("CONTENT-TYPE", "The body is not JSON", "Its content type is {given}.",
          "Choose application/json as content type where the webhook is set up."),
    _hook("NOT-JSON", "The body cannot be read as JSON", "It was signed rightly, but {detail}.",
          "Choose application/json as content type, and look at what is sent."),
    _hook("NOT-PROVIDERS", "This is not what the provider sends", "{provider} does not send this: {detail}.",
          "Make a webhook for the provider that really sends, or correct the sender."),
)  # fmt: skip

# What is listed and built nothing.
_IGNORED = (
    _hook("DISABLED", "The webhook is disabled", "Somebody has disabled this webhook.", f"Enable it. {_AGAIN}"),
    _hook("ARCHIVED", "The listing is archived", "{listing} takes no new versions.", f"Restore the listing. {_AGAIN}"),
    _hook("NO-SOURCE", "The listing has no source", "{listing} has no standing source, so there is nothing to build.",
          f"Set the repository or image under Source on the listing's page. {_AGAIN}"),
    _hook("SOURCE-KIND", "The listing is built from something else",
          "This tells of {sent}, but {listing} is built from {built}.",
          f"Change the listing's source, or remove the webhook at the sender. {_AGAIN}"),
    _hook("REPOSITORY", "This is another repository", "It tells of {repository}; the listing is built from {source}.",
          f"Set up the webhook in the listing's own repository, or change the listing's source. {_AGAIN}"),
    _hook("PULL-REQUEST", "Pull requests are not built", "It tells of a pull or merge request ({event}).",
          "Nothing to do: what a stranger proposes is never built. It is once it is merged."),
    _hook("EVENT", "Nothing is built for this event", "It tells of “{event}”.",
          "Nothing to do. To see less of them, have the sender post pushes and tags only."),
    _hook("DELETED", "Something was deleted", "{ref} was deleted.", "Nothing to do: versions stay."),
    _hook("REFS-LEFT-OUT", "Too many refs at once",
          "Of one request {limit} refs are decided on; these {count} were left out: {refs}.",
          "Push those that you want built again, fewer at once."),
    _hook("REF", "The ref cannot be used", "“{ref}” is no branch or tag that can be fetched by name.",
          "Give the branch or tag a name without control characters and spaces."),
    _hook("BRANCH", "The branch is not built", "No pattern for branches lets {ref} in ({patterns}).",
          f"Add a pattern to the webhook. {_AGAIN}"),
    _hook("TAG", "The tag is not built", "No pattern for tags lets {ref} in ({patterns}).",
          f"Add a pattern to the webhook. {_AGAIN}"),
    _hook("TAG-NAME", "The tag is no version number", "{ref} is not of the form v1.2.3 or 1.2.3-rc.1.",
          "Name the tag after the version that it makes.", "Semantic Versioning 2.0.0"),
    _hook("PATHS", "No file that matters has changed",
          "None of {count} changed files is let in by the patterns for paths ({patterns}).",
          f"Add a pattern to the webhook. {_AGAIN}"),
)  # fmt: skip

# What is well, and needed no new version; and what a push could not do.
_OTHERS = (
    _hook("PING", "The webhook works", "{provider} has reached Slipway, and knows the secret.", "Push something."),
    _hook("TEST", "The test reached its end", "A push like this would make version {number} from {ref}.",
          "Nothing was built, as this was a test. If that is what you want, set it up at the sender."),
    _hook("SAME-COMMIT", "This commit has its version", "{ref} at {commit} is version {number} already.",
          "To build it again, run that version again on its page."),
    _hook("TAG-EXISTS", "This tag has its version", "Version {number} was made from {commit} already.",
          "To build it again, run that version again on its page."),
    _hook("REPEATED", "The delivery came before", "A delivery with this id was decided on: {before}.",
          "Nothing was done twice. To have it decided again, replay the first one on its page."),
    _hook("PATHS-UNKNOWN", "The changed files are not known",
          "Version {number} was made from {ref} at {commit}. {provider} did not say all the files that changed, so "
          "the patterns for paths were not asked.", "Nothing to do: better a build too many than one too few."),
    _hook("TAG-MOVED", "The tag was moved", "The tag {ref} is at {commit} now, but version {number} was made from "
          "{before}. A version never changes.",
          "Make a new tag with the next number, and put this one back to where it was."),
    _hook("NUMBER-TAKEN", "The version number is taken", "Version {number} exists and was not made from this "
          "repository ({before}).", "Make a new tag with the next number."),
    _hook("RACE", "Too many pushes at once", "No number was free for {ref}: others took each one first.",
          "Replay the delivery."),
)  # fmt: skip

# What people cannot do with webhooks.
_VERBS = (
    _hook("PATTERN", "A pattern cannot be used", "{pattern}: {detail}.", "Correct the pattern; one stands on a line."),
    _hook("NOTHING-WANTED", "The webhook would build nothing", "There is neither a pattern for branches nor for tags.",
          "Add one, such as main or v*."),
    _hook("TOO-MANY", "The listing has enough webhooks", "{listing} has {count} webhooks.", "Delete one first."),
    _hook("MADE", "This webhook was made already", "The form was sent twice; its secret was shown the first time.",
          "If you have not copied the secret, rotate it."),
    _hook("ROTATED", "The secret was rotated already", "It is another than when this page was opened.",
          "If you have not copied the new secret, rotate it again."),
    _hook("NO-BODY", "The delivery cannot be replayed", "Its body was not kept: {detail}.",
          "Replay the first delivery with this id, or have the sender send it again."),
)  # fmt: skip

PROBLEMS: tuple[Problem, ...] = (*_REFUSED, *_IGNORED, *_OTHERS, *_VERBS)
