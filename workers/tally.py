"""How many things this worker host has ever reaped, kept in the data directory, so that a restart counts on."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from django.conf import settings


def _path() -> Path:
    return Path(settings.SLIPWAY.data_dir) / "reaped" / f"{settings.SLIPWAY.worker_host}.json"


def read() -> dict[str, int]:
    """Kind -> how many, since this host's first day. Empty where nothing was kept."""
    try:
        kept = json.loads(_path().read_text())
        return {str(kind): int(count) for kind, count in kept.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def add(counts: Mapping[str, int]) -> None:
    """Count on; several workers of one host may do so at once. Raises OSError."""
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = read()
        for kind, count in counts.items():
            kept[kind] = kept.get(kind, 0) + count
        scratch = path.with_suffix(f".{os.getpid()}")
        try:
            scratch.write_text(json.dumps(kept))
            scratch.replace(path)
        finally:
            with suppress(FileNotFoundError):
                scratch.unlink()
