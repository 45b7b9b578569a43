"""What a worker needs around it, asked with short time limits: its staging registry, its disk, its programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import requests
from django.conf import settings

from listings import disk as listings_disk
from listings.reports import ProblemReport
from workers.registries.names import Registry, staging

CONNECT_SECONDS, READ_SECONDS = 2.0, 3.0
TOOL_SECONDS = 5.0
#: Program -> what it is for; without it, that cannot be done.
REQUIRED_TOOLS = {"skopeo": "copies images between registries"}
WISHED_TOOLS = {"git": "fetches sources from Git"}
_MB = 1024**2


def staging_problem() -> ProblemReport | None:
    """Ask the staging registry's ``/v2/`` with our password, in a few seconds. None if it lets us in."""
    registry = staging()
    try:
        status = _ask(registry)
    except requests.RequestException as error:
        reason = "no answer in time" if isinstance(error, requests.Timeout) else "no connection"
        params = {"registry": registry.worker_host, "reason": reason}
        return ProblemReport("STAGING-UNREACHABLE", params)
    if status in (401, 403):
        return ProblemReport("STAGING-SIGN-IN", {"registry": registry.worker_host, "status": str(status)})
    if status >= 400:
        return ProblemReport("STAGING-UNREACHABLE", {"registry": registry.worker_host, "reason": f"status {status}"})
    return None


def _ask(registry: Registry) -> int:
    who = registry.credentials
    with requests.Session() as session:
        session.trust_env = not registry.plain_http
        answer = session.get(
            f"{registry.endpoint}/v2/",
            auth=(who.username, who.password) if who else None,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
            stream=True,
        )
        with answer:
            # A registry with a token server says so whatever password it is shown; tokens are for repositories.
            wants_token = answer.headers.get("WWW-Authenticate", "").lower().startswith("bearer")
            return 200 if answer.status_code == 401 and wants_token else answer.status_code


def disk_problem(place: Path) -> tuple[ProblemReport | None, dict[str, int]]:
    """Whether ``place`` can be written and keeps the floor free; and its free, total and floor sizes in bytes."""
    floor = settings.SLIPWAY.disk_floor_mb * _MB
    disk = listings_disk.look(place)
    sizes = {"free_bytes": disk.free, "total_bytes": disk.total, "floor_bytes": floor}
    if disk.total and disk.free < floor:
        params = {"place": str(place), "free_mb": str(disk.free // _MB), "floor_mb": str(floor // _MB)}
        return ProblemReport("HOST-DISK-LOW", params), sizes
    if disk.reason:
        return ProblemReport("HOST-DISK-UNWRITABLE", {"place": str(place), "reason": disk.reason}), sizes
    return None, sizes


def tools() -> tuple[list[ProblemReport], list[ProblemReport], dict[str, str]]:
    """Problems and warnings about missing programs, and the versions of those that are there."""
    found = {name: _version(name) for name in (*REQUIRED_TOOLS, *WISHED_TOOLS)}
    problems = [_missing(name, what) for name, what in REQUIRED_TOOLS.items() if not found[name]]
    warnings = [_missing(name, what) for name, what in WISHED_TOOLS.items() if not found[name]]
    return problems, warnings, {name: version for name, version in found.items() if version}


def _missing(tool: str, what: str) -> ProblemReport:
    return ProblemReport("HOST-TOOL-MISSING", {"tool": tool, "what": what})


def _version(tool: str) -> str:
    """What ``tool --version`` calls itself, or nothing."""
    try:
        ran = subprocess.run([tool, "--version"], capture_output=True, text=True, timeout=TOOL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    number = re.search(r"\d+(?:\.\d+)+", ran.stdout)
    return number.group() if ran.returncode == 0 and number else ""


def memory_available() -> int | None:
    """Bytes of this host's memory that new programs could use (Linux, /proc/meminfo); None where it is not told."""
    try:
        told = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(told.group(1)) * 1024 if told else None


def engine_disk(info: dict[str, Any]) -> dict[str, int]:
    """Free and total bytes of the engine's own disk, where the engine runs beside this worker and its folder shows."""
    root = str(info.get("DockerRootDir") or "")
    is_local = os.environ.get("DOCKER_HOST", "unix://").startswith("unix://")
    try:
        usage = shutil.disk_usage(root) if root and is_local else None
    except OSError:
        return {}
    return {"free_bytes": usage.free, "total_bytes": usage.total} if usage else {}
