"""CPU, memory and processes of a running container over time.

From the engine's stream of figures, about once a second; where worker and engine share a host, from the kernel's own
files at each look, which also serves runs shorter than a second. Asking the engine for single figures would cost up to
a second each: it (20.10, even "one-shot") makes the asker wait for its next round.
"""

from __future__ import annotations

import threading
import time

from docker.errors import DockerException
from requests.exceptions import RequestException

from workers.engine import Engine
from workers.sandbox.resources.reading import Cgroup, Reading, from_engine
from workers.sandbox.resources.series import Series

#: A container that uses less than this share of one CPU counts as idle.
IDLE_CPU_SHARE = 0.01
#: So long after a look at the files the engine's figures are not needed.
FRESH_SECONDS = 2.0
#: Over a shorter time than this no use of CPU is computed.
MIN_GAP_SECONDS = 0.05


class Meter:
    """Runs from the container's start until it is removed."""

    def __init__(self, engine: Engine, container_id: str, started: float) -> None:
        """``started``: when the container was, by the monotonic clock."""
        self._engine, self._id, self._started = engine, container_id, started
        self.peak_memory = 0
        self.most_processes = 0
        self.memory_kills = 0
        self.refused_forks = 0
        self.series = Series()
        self.active_at = time.monotonic()
        self._active_cpu = 0.0
        self._last = (started, 0.0)
        self._highest_mark = 0
        self._cgroup: Cgroup | None = None
        self._looked_at = 0.0
        self._lock = threading.Lock()
        self._sampled = threading.Event()
        threading.Thread(target=self._run, name="meter", daemon=True).start()

    def wait_for_sample(self, seconds: float) -> None:
        """Give a short run the time for one reading."""
        self._sampled.wait(seconds)

    @property
    def cpu_seconds(self) -> float:
        """What it has computed up to the last reading."""
        return self._last[1]

    def look(self, pid: int = 0) -> None:
        """Read the kernel's files, if they are this host's. ``pid``: of the container's main process; 0: as before."""
        if self._cgroup is None and pid:
            self._cgroup = Cgroup.of(pid, self._id)
        reading = self._cgroup.read() if self._cgroup is not None else None
        if reading is not None:
            self._looked_at = time.monotonic()
            self._take(reading)

    def _run(self) -> None:
        try:
            for stats in self._engine.api.stats(self._id, stream=True, decode=True):
                reading = from_engine(stats)
                if reading is not None and time.monotonic() - self._looked_at > FRESH_SECONDS:
                    self._take(reading)
        except (DockerException, RequestException, OSError, ValueError):
            return  # the container is gone, or the engine: whoever drives the run hears of it

    def _take(self, reading: Reading) -> None:
        with self._lock:
            now = time.monotonic()
            memory = reading.memory
            if reading.memory_peak > self._highest_mark:
                # The peak since the last reading. How much of it was cache is not kept: as much as now, at a guess.
                memory = max(memory, reading.memory_peak - reading.cache)
                self._highest_mark = reading.memory_peak
            self.peak_memory = max(self.peak_memory, memory)
            self.most_processes = max(self.most_processes, reading.processes, reading.most_processes)
            self.refused_forks = max(self.refused_forks, reading.refused_forks)
            self.memory_kills = max(self.memory_kills, reading.memory_kills)
            then, cpu_then = self._last
            if now - then >= MIN_GAP_SECONDS and reading.cpu_seconds >= cpu_then:
                cpu = (reading.cpu_seconds - cpu_then) / (now - then)
                self._last = (now, reading.cpu_seconds)
                self.series.add(now - self._started, cpu, memory, reading.processes)
            if reading.cpu_seconds - self._active_cpu > IDLE_CPU_SHARE * max(now - self.active_at, 1.0):
                self._active_cpu, self.active_at = reading.cpu_seconds, now
        self._sampled.set()
