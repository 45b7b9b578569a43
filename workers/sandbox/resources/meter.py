"""Memory, processes and CPU of a running container, about once a second, from the engine's stream of figures.

Asking for single figures would cost up to a second each: the engine (20.10, even "one-shot") makes the asker wait
for its next round.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from docker.errors import DockerException
from requests.exceptions import RequestException

from workers.engine import Engine

#: A container that uses less than this share of one CPU counts as idle.
IDLE_CPU_SHARE = 0.01


class Meter:
    """Runs from the container's start until it is removed."""

    def __init__(self, engine: Engine, container_id: str) -> None:
        self._engine, self._id = engine, container_id
        self.peak_memory = 0
        self.most_processes = 0
        self.active_at = time.monotonic()
        self._cpu_seconds = 0.0
        self._sampled = threading.Event()
        threading.Thread(target=self._run, name="meter", daemon=True).start()

    def wait_for_sample(self, seconds: float) -> None:
        """Give a short run the time for one reading."""
        self._sampled.wait(seconds)

    def _run(self) -> None:
        try:
            for stats in self._engine.api.stats(self._id, stream=True, decode=True):
                self._take(stats)
        except (DockerException, RequestException, OSError, ValueError):
            return  # the container is gone, or the engine: whoever drives the run hears of it

    def _take(self, stats: Mapping[str, Any]) -> None:
        memory = stats.get("memory_stats", {})
        if not memory.get("usage"):
            return  # not started yet, or ended
        # cgroup v1 keeps the high-water mark; v2 gives the moment's use, so its peak is that of the samples.
        self.peak_memory = max(self.peak_memory, int(memory.get("max_usage", 0)), int(memory["usage"]))
        self.most_processes = max(self.most_processes, int(stats.get("pids_stats", {}).get("current", 0)))
        cpu_seconds = stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0) / 1e9
        now = time.monotonic()
        if cpu_seconds - self._cpu_seconds > IDLE_CPU_SHARE * max(now - self.active_at, 1.0):
            self._cpu_seconds, self.active_at = cpu_seconds, now
        self._sampled.set()
