"""What an attempt used for a moment goes back to the host, so that idle workers stay small."""

from __future__ import annotations

import ctypes
import gc
import time

_given_back_at = float("-inf")


def give_back(at_most_every: float = 0.0) -> None:
    """Collect garbage, and have the C library return its free pages; one without that call (musl) does so itself.

    ``at_most_every``: seconds since the last time, before which nothing is done.

    Source: malloc_trim(3) of glibc; freed memory between blocks in use otherwise stays with the process.
    """
    global _given_back_at
    now = time.monotonic()
    if now - _given_back_at < at_most_every:
        return
    _given_back_at = now
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
