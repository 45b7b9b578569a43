"""A recorded check as pages and documents word it."""

from __future__ import annotations

from typing import Any

from listings import problems
from listings.models import Check
from listings.twin import phases, reading


def words_of(check: Check) -> problems.CheckWords:
    return told(check.code, check.outcome, check.params)


def told(code: str, outcome: str, params: Any) -> problems.CheckWords:
    """``params``: as recorded, which a worker may have left out."""
    values = {str(key): str(value) for key, value in reading.mapping(params).items()}
    if "phase" in values:
        values["phase"] = phases.in_a_sentence(values["phase"])
    return problems.words_of(problems.entry_of(code), outcome, values)


def evidence_of(check: Check, words: problems.CheckWords) -> list[dict[str, Any]]:
    """Its evidence, without what a skip's reason has said already."""
    found = [each for each in check.evidence if isinstance(each, dict)]
    if check.outcome != "skip":
        return found
    return [each for each in found if not problems.repeats(str(each.get("text", "")), words.cause)]
