"""Which branches, tags and files a webhook builds for: lists of patterns, read from top to bottom.

``*`` stands for any characters but ``/``, ``?`` for one, ``[abc]`` for one of these; ``**`` between slashes for any
number of directories, none included (at the end: for everything below). A pattern that starts with ``!`` takes out
what an earlier one let in; the last one that fits decides. A list that starts with ``!`` starts from everything.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from listings.problems import ProblemError

PATTERNS_AT_MOST, PATTERN_LENGTH = 50, 200


def parse(lines: Iterable[str]) -> list[str]:
    """Patterns, one a line; empty lines are left out. Raises ProblemError HOOK-PATTERN."""
    found = []
    for line in lines:
        pattern = line.strip()
        if not pattern:
            continue
        detail = _fault(pattern)
        if detail:
            raise ProblemError("HOOK-PATTERN", pattern=pattern[:80], detail=detail)
        found.append(pattern)
    if len(found) > PATTERNS_AT_MOST:
        raise ProblemError("HOOK-PATTERN", pattern=found[-1][:80], detail=f"there are more than {PATTERNS_AT_MOST}")
    return found


def _fault(pattern: str) -> str:
    body = pattern.removeprefix("!")
    if len(pattern) > PATTERN_LENGTH:
        return f"it is longer than {PATTERN_LENGTH} characters"
    if not body or body.startswith("!"):
        return "there must be something after “!”"
    if not pattern.isprintable() or " " in body:
        return "it has a space or a character that cannot be printed"
    if any("**" in part and part != "**" for part in body.split("/")):
        return "“**” stands alone between slashes; write for example **/*.py or release/**"
    return ""


def selects(patterns: Sequence[str], name: str) -> bool:
    """Whether the list lets ``name`` in. An empty list lets nothing in."""
    chosen = bool(patterns) and patterns[0].startswith("!")
    for pattern in patterns:
        wanted = not pattern.startswith("!")
        if wanted != chosen and _fits(pattern.removeprefix("!"), name):
            chosen = wanted
    return chosen


def selects_any(patterns: Sequence[str], names: Iterable[str]) -> bool:
    return any(selects(patterns, name) for name in names)


@lru_cache(maxsize=1024)
def _parts(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    """A regular expression for each part between slashes (fnmatch's, which cannot backtrack); None is ``**``."""
    whole = pattern.strip("/") + ("/**" if pattern.endswith("/") else "")
    return tuple(None if part == "**" else re.compile(fnmatch.translate(part)) for part in whole.split("/"))


def _fits(pattern: str, name: str) -> bool:
    parts, names = _parts(pattern), name.split("/")
    places = {0}  # how many parts of the name the pattern may have used up so far
    for part in parts:
        if part is None:
            places = set(range(min(places), len(names) + 1))
        else:
            places = {place + 1 for place in places if place < len(names) and part.match(names[place])}
        if not places:
            return False
    if parts[-1] is None:  # everything below, not the directory itself
        return len(parts) == 1 or min(places) < len(names)
    return len(names) in places
