"""The failure catalogue: every stable code with whose fault it is, what happened, and what to change.

One module per area; a code is declared once, here found by ``get``. Texts are ``str.format`` templates
filled from ``ProblemReport.params``; a missing value shows as an ellipsis, never as an exception.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from listings.problems.base import NextAction, Owner, Problem, ProblemError, fill
from listings.problems.questions import ASKS, UNJUDGED
from listings.problems.words import CheckWords, repeats, words_of

from listings.problems import (  # isort: skip
    aws,
    build,
    credentials,
    git,
    governance,
    hooks,
    image,
    invitations,
    image_source,
    operation,
    platform,
    push,
    release,
    source,
    spec,
    serving,
    statuses,
    testing,
    training,
    uploads,
)

__all__ = ["CheckWords", "NextAction", "Owner", "Problem", "ProblemError", "all_problems", "entry_of", "fill", "get",
           "repeats", "words_of"]  # fmt: skip

_MODULES = (
    source,
    git,
    credentials,
    spec,
    build,
    image,
    image_source,
    testing,
    training,
    serving,
    push,
    governance,
    release,
    aws,
    platform,
    operation,
    statuses,
    invitations,
    uploads,
    hooks,
)


def _collect() -> dict[str, Problem]:
    found: dict[str, Problem] = {}
    for module in _MODULES:
        for problem in module.PROBLEMS:
            if problem.code in found:
                raise RuntimeError(f"problem code {problem.code} is declared twice")
            code = problem.code
            found[code] = replace(problem, asks=ASKS.get(code, ""), unjudged=UNJUDGED.get(code, ""))
    if strangers := (ASKS.keys() | UNJUDGED.keys()) - found.keys():
        raise RuntimeError(f"questions of codes that are not declared: {', '.join(sorted(strangers))}")
    return found


_CATALOGUE = _collect()


def get(code: str) -> Problem:
    """The catalogue's entry for ``code``. Raises KeyError for a code that was never declared."""
    return _CATALOGUE[code]


def entry_of(code: str) -> Problem:
    """As ``get``; an entry without texts for a code that an older release of Slipway knew."""
    return _CATALOGUE.get(code) or Problem(code, Owner.SELLER, code, "", "", NextAction.FIX_AND_REBUILD)


def all_problems() -> Iterator[Problem]:
    return iter(_CATALOGUE.values())
