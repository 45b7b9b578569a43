"""What the container under test writes, against what it may: its volumes and its own layer together."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from listings.problems import ProblemError
from workers.engine import Engine
from workers.sandbox.holder_client import Holder
from workers.sandbox.resources.profile import DISK_RESERVE_BYTES, Profile
from workers.steps.contract import Stop

#: Of an image's own VOLUME: what the image itself has there is not the container's doing, however much it is.
MAX_COPIED_BYTES, MAX_COPIED_ENTRIES = 1 << 40, 1_000_000
#: So often may the layer be found unmeasurable: files come and go under the engine's walk.
PATIENCE = 3
CHANGE = b'"Kind":'
TOO_DEEP = "a path too deep to follow"


@dataclass(slots=True)
class Place:
    """A directory of the holder's, and what was in it before. ``fixed``: the container can only read it."""

    path: str
    bytes: int = 0
    entries: int = 0
    fixed: bool = False


class DiskBudget:
    """Looks when asked. The layer is walked by the engine, so the dearer that is, the rarer it is asked."""

    def __init__(self, engine: Engine, holder: Holder, profile: Profile, stop: Stop, paths: list[str]) -> None:
        """``paths``: the holder's; the first is the test's own. What is in them at the start is input and does not
        count."""
        self._engine, self._holder, self._profile, self._stop = engine, holder, profile, stop
        self._places = [Place(path) for path in paths]
        self._id = ""
        self.used = 0
        self._free_at_start = self._free_entries_at_start = 0
        self._next_layer = self._next_count = 0.0
        self._layer_bytes = self._layer_entries = self._unmeasurable = self._missed = 0

    def begin(self, container_id: str, *, first_is_read_only: bool = False) -> None:
        """Called when the container exists and does not run yet, its input in place.

        ``first_is_read_only``: the first place is not measured, as a model may be a million files.
        """
        self._id, self._places[0].fixed = container_id, first_is_read_only
        for place in self._places:
            if place.fixed:
                continue
            found = self._measure(place.path, MAX_COPIED_BYTES, MAX_COPIED_ENTRIES)
            place.bytes, place.entries = found["bytes"], found["entries"]
        space = self._measure(self._places[0].path, 0, 0)
        self._free_at_start, self._free_entries_at_start = space["free_bytes"], space["free_entries"]

    def exceeded(self) -> str:
        """Why the container must be stopped; "" where it keeps its budget.

        Raises ProblemError TEST-HOST-DISK where the host's disk runs full and this container is not known to fill it.
        """
        limit = self._profile.disk_bytes
        used, entries, missed = 0, 0, False
        space: dict[str, Any] = {}
        for place in self._places:
            most = (0, 0) if place.fixed else (limit + place.bytes, self._profile.inodes + place.entries)
            found = self._measure(place.path, *most)
            space = space or found
            if place.fixed:
                continue
            used += max(0, found["bytes"] - place.bytes)
            entries += max(0, found["entries"] - place.entries)
            missed = missed or found["missed"]
            if found["too_deep"]:
                return TOO_DEEP
        self._missed = self._missed + 1 if missed else 0
        if self._missed >= PATIENCE and self._free_at_start - space["free_bytes"] > limit:
            return "its directories move too fast to be measured, and the disk has lost more than is allowed"
        self._look_at_layer()
        entries += self._entries_of_layer(space["free_entries"], entries)
        self.used = used = used + self._layer_bytes
        if used > limit:
            return f"{used >> 20} MiB written, {limit >> 20} MiB allowed"
        if entries > self._profile.inodes:
            return f"more than {self._profile.inodes} files and directories"
        if self._unmeasurable >= PATIENCE:
            return TOO_DEEP
        return self._host_full(space["free_bytes"])

    def _host_full(self, free: int) -> str:
        if free >= DISK_RESERVE_BYTES:
            return ""
        left = f"only {free >> 20} MiB are left on the test host's disk"
        if self.used > DISK_RESERVE_BYTES // 4:
            return left
        if self._free_at_start - free > DISK_RESERVE_BYTES:
            # It may hold on to deleted files, which nobody can measure; or a neighbour fills the disk.
            raise ProblemError("TEST-HOST-DISK", reason=left)
        return ""

    def _measure(self, path: str, max_bytes: int, max_entries: int) -> dict[str, Any]:
        return self._holder.call("measure", self._stop, path=path, max_bytes=max_bytes, max_entries=max_entries)

    def _look_at_layer(self) -> None:
        now = time.monotonic()
        if now < self._next_layer:
            return
        found = self._engine.api.containers(all=True, size=True, filters={"id": self._id})
        size = int(found[0].get("SizeRw") or 0) if found else 0
        # Below zero: the engine's walk failed, as it does on paths longer than can be named.
        self._unmeasurable = self._unmeasurable + 1 if size < 0 else 0
        self._layer_bytes = max(0, size)
        self._next_layer = time.monotonic() + max(1.0, 10 * (time.monotonic() - now))

    def _entries_of_layer(self, free: int, accounted: int) -> int:
        """Files in the writable layer. Counting is dear, so only where the file system lost more entries than allowed.

        A file system without a fixed number of them says 0 free, always: there is nothing to use up, either.
        """
        gone = self._free_entries_at_start - free
        now = time.monotonic()
        if gone - accounted > self._profile.inodes and now >= self._next_count:
            self._layer_entries = self._count_changes(self._profile.inodes)
            self._next_count = time.monotonic() + max(1.0, 10 * (time.monotonic() - now))
        return self._layer_entries

    def _count_changes(self, limit: int) -> int:
        count, rest = 0, b""
        with self._engine.stream("GET", f"/containers/{self._id}/changes", {}) as response:
            for chunk in response.iter_content(chunk_size=1 << 16):
                self._stop.check()
                data = rest + chunk
                count += data.count(CHANGE)
                rest = data[-len(CHANGE) + 1 :]
                if count > limit:
                    break
        return count
