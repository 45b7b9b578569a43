"""Names and sizes of what a container has left in a directory of the volume, bounded whatever that is."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

MAX_NAME = 500


def contents(path: str, most_entries: int, listed: int) -> dict[str, Any]:
    """``files``, ``bytes`` (their sizes) and ``listing``: the first ``listed`` of the files by name, as [path, bytes].

    A ``path`` that is, or lies behind, a symbolic link counts as empty: it leads out of the volume.
    """
    if os.path.realpath(path) != path or not Path(path).is_dir():
        return {"files": 0, "bytes": 0, "listing": []}
    found: list[tuple[str, int]] = []
    pending, entries = [path], 0
    while pending and entries <= most_entries:
        try:
            with os.scandir(pending.pop()) as listing:
                for entry in listing:
                    entries += 1
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        pending.append(entry.path)
                    elif stat.S_ISREG(status.st_mode):
                        found.append((entry.path, status.st_size))
                    if entries > most_entries:
                        break
        except OSError:
            continue  # changed under the walk, or too deep to name
    found.sort()
    names = [[_name(os.path.relpath(name, path)), size] for name, size in found[:listed]]
    return {"files": len(found), "bytes": sum(size for _, size in found), "listing": names}


def _name(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "replace")[:MAX_NAME]
