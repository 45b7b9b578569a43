"""Text of an image's, made fit to be kept and shown."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile("[\0\ud800-\udfff]")


def printable(text: str) -> str:
    """``text`` without what no database column takes: NUL, and the bytes of a file name that are no UTF-8."""
    return _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", text)
