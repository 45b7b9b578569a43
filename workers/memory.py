"""What an attempt used for a moment goes back to the host, so that idle workers stay small."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Collect garbage, and have the C library return its free pages; one without that call (musl) does so itself.

    Source: malloc_trim(3) of glibc; freed memory between blocks in use otherwise stays with the process.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
