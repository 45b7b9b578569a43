"""Watches a running build from outside: processes, memory, disk. Ends it where a limit alone would let it hang."""

from __future__ import annotations

import json
import re
import threading
from types import TracebackType
from typing import Any, Self

from docker.errors import APIError, NotFound
from requests.exceptions import RequestException

from listings.problems import ProblemError
from workers.building.room import Room, engine_seconds
from workers.building.stream import BuildOutput, Cut
from workers.engine import Engine

#: Seconds between two looks; a build that stands at its process limit for so many of them is stuck in it.
PERIOD, STUCK = 2.0, 4
#: The engine's disk must keep this much, whoever uses it.
RESERVE_MB = 1024
_MB = 1024 * 1024


class Meter:
    """A thread over one build. ``problem`` is why it ended the build, if it did."""

    def __init__(self, engine: Engine, room: Room, output: BuildOutput, cut: Cut, disk_mb: int) -> None:
        self._engine, self._room, self._output, self._cut = engine, room, output, cut
        self._disk_mb = disk_mb
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="build-meter", daemon=True)
        self._at_limit = 0
        self._disk_before: int | None = None
        self.free_mb: int | None = None
        self.peak_pids = 0
        self.peak_memory = 0
        self.problem: ProblemError | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join(timeout=30)
        # What happened between two looks: the kernel keeps the peak.
        peak = self._in_room("cat /sys/fs/cgroup/pids/pids.peak /sys/fs/cgroup/pids.peak 2>/dev/null; true")
        self.peak_pids = max([self.peak_pids, *(int(n) for n in re.findall(r"^\d+$", peak, re.MULTILINE))])

    def hit_process_limit(self) -> bool:
        return self.peak_pids >= self._room.options.pids

    def is_disk_full(self) -> bool:
        return self.free_mb is not None and self.free_mb < 2 * RESERVE_MB

    def was_out_of_memory(self) -> bool:
        """Whether the kernel killed a process of the build, by the engine's own events."""
        ids = {self._room.id[:12], self._output.container}
        filters = json.dumps({"type": ["container"], "event": ["oom"]})
        try:
            span = {"since": self._opened(), "until": f"{self._engine_now():.9f}", "filters": filters}
            with self._engine.stream("GET", "/events", span) as response:
                events = [json.loads(line) for line in response.content.split(b"\n") if line.strip()]
        except (APIError, RequestException):
            events = []
        killed = any(str(event.get("Actor", {}).get("ID", ""))[:12] in ids for event in events)
        full = self.peak_memory >= 0.98 * self._room.options.memory_mb * _MB
        return killed or (full and self._output.exit_code == 137)

    def _opened(self) -> str:
        return str(engine_seconds(str(self._room.container.attrs["Created"])))

    def _engine_now(self) -> float:
        return engine_seconds(str(self._engine.info()["SystemTime"]))

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                self._look()
            except (APIError, RequestException):
                pass  # a look that fails is made again; a dead engine ends the build's own call
            except ProblemError as problem:
                self.problem = problem
                self._cut()
                return
            self._done.wait(PERIOD)

    def _look(self) -> None:
        limit = self._room.options.pids
        pids = 0
        for container_id in self._metered():
            usage = self._engine.api.stats(container_id, stream=False, one_shot=True)
            pids += int(usage.get("pids_stats", {}).get("current") or 0)
            memory = usage.get("memory_stats", {})
            self.peak_memory = max(self.peak_memory, int(memory.get("max_usage") or memory.get("usage") or 0))
        self.peak_pids = max(self.peak_pids, pids)
        self._at_limit = self._at_limit + 1 if pids >= limit else 0
        if self._at_limit >= STUCK:
            raise ProblemError("BUILD-PROCESSES", step=self._output.step, limit=limit)
        self._look_at_disk()

    def _metered(self) -> list[str]:
        if self._room.options.cgroup_parent:
            return [thing.id for thing in self._engine.joined({self._room.id})]
        return [self._room.id]

    def _look_at_disk(self) -> None:
        match = re.search(r"\s(\d+)\s+(\d+)\s+(\d+)\s+\d+%", self._in_room("df -k /"))
        if match is None:
            return
        used, free = int(match[2]) // 1024, int(match[3]) // 1024
        self.free_mb = free
        before = self._disk_before = used if self._disk_before is None else self._disk_before
        if used - before > self._disk_mb:
            # Others write to the same disk: what is this build's own is counted before it is blamed.
            own = used - before if used - before > 2 * self._disk_mb else self._own_mb()
            if own > self._disk_mb:
                raise ProblemError("BUILD-DISK", used_mb=own, limit_mb=self._disk_mb)
        if free < RESERVE_MB:
            raise ProblemError("BUILD-HOST-FULL", free_mb=free)

    def _own_mb(self) -> int:
        total = 0
        for image in set(self._output.images):
            history: list[dict[str, Any]] = self._engine.api.history(image)
            total += int(history[0]["Size"])
        for thing in self._engine.joined({self._room.id}):
            found = self._engine.api.containers(all=True, size=True, filters={"id": thing.id})
            total += sum(int(raw.get("SizeRw") or 0) for raw in found)
        return total // _MB

    def _in_room(self, script: str) -> str:
        """Output of a command in the room; empty where it cannot run, as when no process may be started there."""
        try:
            return self._engine.execute(self._room.id, ["sh", "-c", script]).output
        except (APIError, NotFound, RequestException):
            return ""
