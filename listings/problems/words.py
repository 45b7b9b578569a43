"""A check in words, as every page and document shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

from listings.problems.base import Problem, fill
from listings.reports import CheckOutcome


@dataclass(frozen=True, slots=True)
class CheckWords:
    """``title`` says what holds where it passed, and of a skip only what was asked. ``remedy``: for what warns or
    fails."""

    title: str
    cause: str = ""
    remedy: str = ""


def words_of(entry: Problem, outcome: str, params: Mapping[str, str]) -> CheckWords:
    """The texts of a check of ``entry`` that came out as ``outcome``: no fault is told of one that found none."""
    if outcome == CheckOutcome.PASS:
        return CheckWords(fill(entry.holds or entry.title, params))
    if outcome == CheckOutcome.SKIP:
        asked = entry.asks or f"the check {entry.code}"
        return CheckWords(f"Not judged: {asked}", _why_not(entry, params))
    return CheckWords(fill(entry.title, params), fill(entry.cause, params), fill(entry.remedy, params))


def _why_not(entry: Problem, params: Mapping[str, str]) -> str:
    """Why a check was skipped, as a sentence; "" where nothing is known of it."""
    names = [name for _, name, _, _ in Formatter().parse(entry.unjudged) if name]
    whole = entry.unjudged and all(params.get(name) for name in names)
    reason = fill(entry.unjudged, params) if whole else params.get("reason", "")
    reason = reason.strip()
    if not reason:
        return ""
    return f"{reason[0].upper()}{reason[1:]}{'' if reason[-1] in '.!?' else '.'}"


def repeats(text: str, reason: str) -> bool:
    """Whether a piece of evidence says the ``reason`` of a skip once more."""
    return text.strip().rstrip(".").lower() == reason.strip().rstrip(".").lower()
