"""The number of a version that a push makes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import semver

#: What the column holds (Version.number), and the most digits that are left for a branch's counter.
_NUMBER_LENGTH, _COUNTER_LENGTH, _IDENTIFIER_LENGTH = 64, 7, 40


def tag_number(tag: str) -> str | None:
    """The number that a tag ``v?X.Y.Z`` or ``v?X.Y.Z-pre`` names; None for any other tag."""
    number = tag.removeprefix("v")
    try:
        parsed = semver.Version.parse(number)
    except ValueError:
        return None
    return number if parsed.build is None and len(number) <= _NUMBER_LENGTH else None


def identifier(branch: str, limit: int = _IDENTIFIER_LENGTH) -> str:
    """``branch`` as one identifier of a pre-release: letters, digits and dashes, never digits alone.

    A long name is cut and keeps a part of its SHA-256, so that two long ones do not meet.
    """
    word = re.sub(r"[^0-9A-Za-z]+", "-", branch).strip("-")
    if len(word) > limit:
        word = f"{word[: limit - 9].rstrip('-')}-{hashlib.sha256(branch.encode()).hexdigest()[:8]}"
    if not word:
        return "branch"
    return f"b{word}" if word.isdigit() else word


def branch_prefix(highest: str | None, branch: str) -> str:
    """``X.Y.(Z+1)-<branch>.`` for the highest full version ``X.Y.Z`` of the listing, 0.0.0 if there is none."""
    base = str(semver.Version.parse(highest or "0.0.0").bump_patch())
    limit = min(_IDENTIFIER_LENGTH, _NUMBER_LENGTH - len(base) - 2 - _COUNTER_LENGTH)
    return f"{base}-{identifier(branch, limit)}."


def next_number(prefix: str, taken: Iterable[str]) -> str:
    """``prefix`` and the first counter above all that ``taken`` has with it."""
    tails = (number.removeprefix(prefix) for number in taken if number.startswith(prefix))
    return f"{prefix}{max((int(tail) for tail in tails if tail.isdecimal()), default=0) + 1}"
