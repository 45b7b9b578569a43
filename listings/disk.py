"""Whether a folder can be written, and how much room is left below it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Disk:
    """Sizes in bytes, 0 where they could not be asked. ``reason`` says why nothing can be written, or is empty."""

    free: int = 0
    total: int = 0
    reason: str = ""


def look(place: Path) -> Disk:
    """Write a few bytes below ``place``, which is made if missing, and take them away. Never raises OSError."""
    free = total = 0
    try:
        place.mkdir(parents=True, exist_ok=True)
        usage = shutil.disk_usage(place)
        free, total = usage.free, usage.total
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"slipway")
            probe.flush()
    except OSError as error:
        return Disk(free, total, error.strerror or type(error).__name__)
    return Disk(free, total)
