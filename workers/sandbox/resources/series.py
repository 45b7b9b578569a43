"""What a run used over time, in a bounded number of points."""

from __future__ import annotations

import threading
from dataclasses import dataclass

MAX_POINTS = 600


@dataclass(slots=True)
class Point:
    """``seconds`` since the container's start; what was used then, or at most since the point before."""

    seconds: float
    cpu: float
    memory: int
    processes: int
    disk: int

    def take_in(self, later: Point) -> None:
        """Become the one point of both: at the later time, with the higher of each value."""
        self.seconds = later.seconds
        self.cpu = max(self.cpu, later.cpu)
        self.memory = max(self.memory, later.memory)
        self.processes = max(self.processes, later.processes)
        self.disk = max(self.disk, later.disk)


class Series:
    """At most MAX_POINTS points. When full, neighbours become one, so that the resolution halves and peaks survive."""

    def __init__(self, most: int = MAX_POINTS) -> None:
        self._most = most
        self._points: list[Point] = []
        self._readings_per_point = 1
        self._readings_in_last = 0
        self._disk = 0
        # Readings come from the meter's thread, the disk's from whoever drives the run.
        self._lock = threading.Lock()

    def add(self, seconds: float, cpu: float, memory: int, processes: int) -> None:
        with self._lock:
            point = Point(seconds, cpu, memory, processes, self._disk)
            if self._points and self._readings_in_last < self._readings_per_point:
                self._points[-1].take_in(point)
                self._readings_in_last += 1
                return
            if len(self._points) >= self._most:
                self._halve()
            self._points.append(point)
            self._readings_in_last = 1

    def note_disk(self, used: int) -> None:
        """Bytes on the disk as of now: they count for the last point, and for those to come."""
        with self._lock:
            self._disk = max(0, used)
            if self._points:
                self._points[-1].disk = max(self._points[-1].disk, self._disk)

    def as_json(self) -> dict[str, list[float]]:
        with self._lock:
            points = list(self._points)
            return {
                "seconds": [round(point.seconds, 2) for point in points],
                "cpu": [round(point.cpu, 3) for point in points],
                "memory": [point.memory for point in points],
                "processes": [point.processes for point in points],
                "disk": [point.disk for point in points],
            }

    def _halve(self) -> None:
        for earlier, later in zip(self._points[::2], self._points[1::2], strict=False):
            earlier.take_in(later)
        self._points = self._points[::2]
        self._readings_per_point *= 2
