"""What the container under test is given: the chosen instance type's size, cut to this host's share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from listings.problems import ProblemError
from listings.reports import Evidence
from workers.engine import Engine
from workers.sandbox.resources.instances import instance_table

GIB = 1 << 30
#: Left free on the engine's file system, whatever the budget says.
DISK_RESERVE_BYTES = 1 * GIB


@dataclass(frozen=True, slots=True)
class Profile:
    """Limits of one run. ``clamped`` says where this host gives less than the instance type has, or may give less as
    its size is not known; ``memory_clamped``: whether that is so of memory; ``cpu_share``: that it is so of CPU, in
    words, "" where it is not: then what was only too slow may be the host's doing."""

    instance_type: str
    memory_bytes: int
    cpus: float
    pids: int
    disk_bytes: int
    inodes: int
    clamped: tuple[str, ...]
    memory_clamped: bool = False
    cpu_share: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "network": "none",
            "instance_type": self.instance_type,
            "memory_bytes": self.memory_bytes,
            "cpus": self.cpus,
            "pids": self.pids,
            "disk_bytes": self.disk_bytes,
            "inodes": self.inodes,
            "clamped": list(self.clamped),
        }

    def share_evidence(self) -> tuple[Evidence, ...]:
        """What belongs beside a finding that was a matter of time."""
        return (Evidence(self.cpu_share, label="this host"),) if self.cpu_share else ()

    def container_options(self) -> dict[str, Any]:
        """The run profile as options of ``docker.containers.create``: Docker's default capabilities, user, ulimits and
        seccomp profile, since stricter ones would fail images that AWS accepts."""
        return {
            "mem_limit": self.memory_bytes,
            "memswap_limit": self.memory_bytes,
            "nano_cpus": int(self.cpus * 1e9),
            "pids_limit": self.pids,
            "security_opt": ["no-new-privileges"],
            "log_config": {"type": "json-file", "config": {"max-size": "4m", "max-file": "1"}},
            "use_config_proxy": False,
        }


def instance_sizes() -> Mapping[str, tuple[float, float]]:
    """Instance type -> (vCPU, GiB), as of the date in the file."""
    return {name: (instance.vcpus, instance.memory_gib) for name, instance in instance_table().types.items()}


def require_limits(info: Mapping[str, Any]) -> None:
    """Raises ProblemError TEST-NO-LIMITS where the engine says that it cannot hold a container to its limits."""
    needed = {"MemoryLimit": "memory", "PidsLimit": "processes", "CpuCfsQuota": "CPU"}
    missing = [text for key, text in needed.items() if not info.get(key)]
    if missing:
        raise ProblemError("TEST-NO-LIMITS", limits=", ".join(missing))


def host_share(info: Mapping[str, Any]) -> tuple[float, int]:
    """CPUs and bytes of memory that all containers of one run have together on the engine's host."""
    cpus = min(float(settings.SLIPWAY.test_cpus), float(info["NCPU"]))
    return cpus, min(settings.SLIPWAY.test_memory_mb << 20, int(info["MemTotal"]))


def profile_for(engine: Engine, instance_type: str) -> Profile:
    """The run profile for ``instance_type`` ("" or an unknown one: the host's share).

    Raises ProblemError TEST-NO-LIMITS, TEST-INSTANCES-FILE.
    """
    info = engine.info()
    require_limits(info)
    share_cpus, share_memory = host_share(info)
    size = instance_sizes().get(instance_type)
    cpus, memory = (size[0], int(size[1] * GIB)) if size else (share_cpus, share_memory)
    unknown = bool(instance_type) and size is None
    clamped, cpu_share = [], ""
    if unknown:
        clamped.append(f"{instance_type}: its size is not in Slipway's table")
        cpu_share = f"this host gave {share_cpus:g} vCPU; how many {instance_type} has is not in Slipway's table"
    if cpus > share_cpus:
        clamped.append(f"{share_cpus:g} of {cpus:g} vCPU")
        cpu_share = f"this host gave {clamped[-1]} of {instance_type}"
    if memory > share_memory:
        clamped.append(f"{share_memory / GIB:g} of {memory / GIB:g} GiB")
    return Profile(
        instance_type=instance_type,
        memory_bytes=min(memory, share_memory),
        cpus=min(cpus, share_cpus),
        pids=settings.SLIPWAY.test_pids,
        disk_bytes=settings.SLIPWAY.test_disk_mb << 20,
        inodes=settings.SLIPWAY.test_inodes,
        clamped=tuple(clamped),
        memory_clamped=memory > share_memory or unknown,
        cpu_share=cpu_share,
    )
