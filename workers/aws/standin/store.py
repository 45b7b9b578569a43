"""What the stand-in remembers: plain JSON, in memory or in a file that survives a restart."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

_EMPTY: dict[str, dict[str, Any]] = {"algorithms": {}, "model_packages": {}, "change_sets": {}, "products": {}}


class Store:
    """Tables by name. Hold ``lock`` around every read-and-write; call ``save`` after a change."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.tables: dict[str, dict[str, Any]] = {name: {} for name in _EMPTY}
        if path is not None and path.exists():
            self.tables.update(json.loads(path.read_text(encoding="utf-8")))

    def table(self, name: str) -> dict[str, Any]:
        return self.tables[name]

    def save(self) -> None:
        """Write the file whole and put it in place at once, so that a kill never leaves half of it."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f"{self.path.name}.new")
        temporary.write_text(json.dumps(self.tables, indent=1), encoding="utf-8")
        temporary.replace(self.path)


def progress(started: float, seconds: float, stages: tuple[str, str], final: str) -> str:
    """Which stage has been reached: the first for a quarter of the time, then the second, then ``final``."""
    elapsed = time.time() - started
    if elapsed >= seconds:
        return final
    return stages[0] if elapsed < seconds / 4 else stages[1]
