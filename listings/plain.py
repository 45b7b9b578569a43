"""Making data fit to be stored: what a container writes, every database must take. Pure."""

from __future__ import annotations

import math
import re
from typing import Any

#: PostgreSQL stores neither NUL nor halves of surrogate pairs, in text or in JSON.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def text(value: str, limit: int | None = None) -> str:
    """``value`` with what cannot be stored replaced by U+FFFD, cut to ``limit`` characters."""
    return _UNSTORABLE.sub("\ufffd", value)[:limit]


def data(value: Any) -> Any:
    """JSON-like ``value`` fit for a JSON column; a number that JSON does not have becomes its name (``nan``)."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {text(str(key)): data(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [data(inner) for inner in value]
    return value
