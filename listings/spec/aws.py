"""What AWS accepts, read from the service model that the installed botocore carries.

botocore itself checks only required members, types and minima; maxima, patterns and enumerations are
in its model but never applied, so Slipway applies them. Nothing here is written down by hand: a newer
botocore brings newer instance types and limits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import botocore.session

# The one pattern of the service model that Python's ``re`` cannot read: letters, marks, separators,
# symbols, numbers and punctuation, which is every character outside Unicode's "other" categories.
_PRINTABLE = r"[\p{L}\p{M}\p{Z}\p{S}\p{N}\p{P}]*"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the service model says of one shape: lengths in characters (or items), pattern, values."""

    minimum: int | None
    maximum: int | None
    pattern: str | None
    values: tuple[str, ...]
    matches: Callable[[str], bool]


@lru_cache(maxsize=1)
def _service_model() -> Any:
    session = botocore.session.get_session()
    return session.get_service_model("sagemaker")


def is_printable(text: str) -> bool:
    """True when ``text`` has no character of Unicode's "other" categories (line breaks included)."""
    return not any(unicodedata.category(character).startswith("C") for character in text)


def _matcher(pattern: str | None) -> Callable[[str], bool]:
    if not pattern or pattern == ".*":
        return lambda _text: True
    if pattern == _PRINTABLE:
        return is_printable
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


@lru_cache(maxsize=256)
def limits(shape: str) -> Limits:
    """The limits of ``Shape`` or of a member, written ``Shape.Member`` (lists: the list's own limits).

    Raises KeyError when the installed model has no such shape.
    """
    name, _, member = shape.partition(".")
    model = _service_model().shape_for(name)
    if member:
        model = model.members[member]
    metadata = model.metadata
    pattern = metadata.get("pattern")
    return Limits(
        minimum=metadata.get("min"),
        maximum=metadata.get("max"),
        pattern=pattern,
        values=tuple(getattr(model, "enum", None) or metadata.get("enum", ())),
        matches=_matcher(pattern),
    )


def training_instance_types() -> tuple[str, ...]:
    return limits("TrainingInstanceType").values


def transform_instance_types() -> tuple[str, ...]:
    return limits("TransformInstanceType").values


def realtime_instance_types() -> tuple[str, ...]:
    return limits("ProductionVariantInstanceType").values
