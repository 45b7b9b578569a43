"""One reading of a control group, of version 1 or 2, from the engine's figures or from the files themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Reading:
    """``memory`` is without the file cache that the kernel drops at need; ``memory_peak``, where the kernel keeps one,
    is with it. ``memory_kills``: how many processes it killed for memory so far, where it says; ``refused_forks``: how
    often one could not be started for the limit of processes."""

    cpu_seconds: float
    memory: int
    memory_peak: int
    cache: int
    processes: int
    most_processes: int = 0
    memory_kills: int = 0
    refused_forks: int = 0


def from_engine(stats: Mapping[str, Any]) -> Reading | None:
    """The engine's figures; None where the container has not started yet, or has ended."""
    memory = stats.get("memory_stats", {})
    usage = int(memory.get("usage") or 0)
    if not usage:
        return None
    details = memory.get("stats") or {}
    # Version 1 sums up the groups below under names of their own, and keeps the high-water mark.
    cache = int(details.get("total_inactive_file", details.get("inactive_file", 0)) or 0)
    return Reading(
        cpu_seconds=float(stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage", 0)) / 1e9,
        memory=max(0, usage - cache),
        memory_peak=int(memory.get("max_usage") or 0),
        cache=cache,
        processes=int(stats.get("pids_stats", {}).get("current") or 0),
    )


class Cgroup:
    """A container's control group in the files of this host: finer and cheaper than the engine's figures."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """``folders``: of the controllers memory, cpuacct and pids (version 1), or of "" (version 2)."""
        self._folders = folders

    @classmethod
    def of(cls, pid: int, container_id: str, root: Path = ROOT, proc: Path = Path("/proc")) -> Cgroup | None:
        """None where worker and engine share no host, or the worker may not look."""
        try:
            lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return None
        folders: dict[str, Path] = {}
        for line in lines:
            _, controllers, path = line.split(":", 2)
            # A process of another host may have the same number here: its group bears another name.
            if container_id in path:
                for name in controllers.split(","):
                    folders[name] = root / controllers / path.lstrip("/") if name else root / path.lstrip("/")
        wanted = ("memory", "cpuacct", "pids") if "memory" in folders else ("",)
        if not all(name in folders and folders[name].is_dir() for name in wanted):
            return None
        return cls({name: folders[name] for name in wanted})

    def read(self) -> Reading | None:
        """None once the container has ended."""
        try:
            return self._version_2(self._folders[""]) if "" in self._folders else self._version_1()
        except (OSError, ValueError):
            return None

    def _version_1(self) -> Reading:
        memory, pids = self._folders["memory"], self._folders["pids"]
        cache = _table(memory / "memory.stat").get("total_inactive_file", 0)
        usage = _number(memory / "memory.usage_in_bytes")
        return Reading(
            cpu_seconds=_number(self._folders["cpuacct"] / "cpuacct.usage") / 1e9,
            memory=max(0, usage - cache),
            memory_peak=_number(memory / "memory.max_usage_in_bytes"),
            cache=cache,
            processes=_number(pids / "pids.current"),
            memory_kills=_table(memory / "memory.oom_control").get("oom_kill", 0),
            refused_forks=_refused(pids),
        )

    @staticmethod
    def _version_2(folder: Path) -> Reading:
        cache = _table(folder / "memory.stat").get("inactive_file", 0)
        usage = _number(folder / "memory.current")
        return Reading(
            cpu_seconds=_table(folder / "cpu.stat").get("usage_usec", 0) / 1e6,
            memory=max(0, usage - cache),
            memory_peak=_number(folder / "memory.peak", 0),  # since Linux 5.19
            cache=cache,
            processes=_number(folder / "pids.current"),
            most_processes=_number(folder / "pids.peak", 0),  # since Linux 6.1
            memory_kills=_table(folder / "memory.events").get("oom_kill", 0),
            refused_forks=_refused(folder),
        )


def _refused(folder: Path) -> int:
    try:
        return _table(folder / "pids.events").get("max", 0)
    except FileNotFoundError:  # a kernel older than 4.8
        return 0


def _number(path: Path, otherwise: int | None = None) -> int:
    """The file's only number; ``otherwise`` where the kernel has no such file."""
    try:
        return int(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        if otherwise is None:
            raise
        return otherwise


def _table(path: Path) -> dict[str, int]:
    """A file of lines "name number"."""
    pairs = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
