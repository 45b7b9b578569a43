"""Shows that this worker's engine keeps a build inside its limits, by building what tries to leave them.

A build is refused where this has not been shown: a seller's fork bomb must never be the first test. The proof is
kept in the data directory, for one engine in one configuration and for a day.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from docker.errors import APIError
from requests.exceptions import RequestException

from listings.models import Instance
from listings.problems import ProblemError
from listings.reports import Evidence
from workers.building.room import Room, RoomOptions, close_room, open_room
from workers.building.stream import Cut, messages
from workers.engine import NO_ATTEMPT, NO_CREDENTIALS, Engine, attempt_labels

PIDS, MEMORY_MB, CPUS = 48, 64, 0.25
MAX_AGE_SECONDS = 24 * 3600
_BUSY_SECONDS = 2

_FORKS = "i=0; while [ $i -lt {many} ]; do sleep 3 & i=$((i+1)); echo forked $i; done; echo ESCAPED"
_EATS = "dd if=/dev/zero of=/dev/null bs={megabytes}M count=1 2>/dev/null && echo ESCAPED"
_SPINS = f"(timeout {_BUSY_SECONDS} sh -c 'while :; do :; done') & timeout {_BUSY_SECONDS} sh -c 'while :; do :; done'"
_SPINS += "; wait; times"


@dataclass(frozen=True, slots=True)
class SelfTestReport:
    """What was tried and what held. ``detail`` says what did not."""

    engine: str
    proven: bool
    processes_reached: int
    processes_limit: int
    memory_held: bool
    memory_limit_mb: int
    cpu_share: float
    cpu_limit: float
    seconds: float
    at: float
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def prove_build_limits(engine: Engine, *, fresh: bool = False) -> SelfTestReport:
    """The kept proof for this engine, or a new one (about ten seconds). Never raises for limits that do not hold."""
    key = _engine_key(engine)
    kept = None if fresh else _read(key)
    if kept is not None:
        return kept
    report = _prove(engine, key)
    if report.proven:
        path = _path()
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(f".{time.monotonic_ns()}")
        scratch.write_text(json.dumps(report.as_json()))
        scratch.replace(path)
    return report


def require_build_limits(engine: Engine) -> SelfTestReport:
    """Raises ProblemError BUILD-LIMITS-UNPROVEN."""
    report = prove_build_limits(engine)
    if not report.proven:
        raise ProblemError("BUILD-LIMITS-UNPROVEN", evidence=(Evidence(report.detail),), detail=report.detail)
    return report


def _engine_key(engine: Engine) -> str:
    """A proof holds for this engine, as it is and as builds use it."""
    info = engine.info()
    named = ("ID", "ServerVersion", "KernelVersion", "CgroupDriver", "CgroupVersion")
    return " ".join([*(str(info.get(name, "")) for name in named), settings.SLIPWAY.build_cgroup_parent]).strip()


def _path() -> Path:
    return Path(settings.SLIPWAY.data_dir) / "selftest" / f"{settings.SLIPWAY.worker_host}.json"


def _read(key: str) -> SelfTestReport | None:
    try:
        report = SelfTestReport(**json.loads(_path().read_text()))
    except (OSError, ValueError, TypeError):
        return None
    is_recent = 0 <= time.time() - report.at < MAX_AGE_SECONDS
    return report if report.proven and report.engine == key and is_recent else None


def _prove(engine: Engine, key: str) -> SelfTestReport:
    started = time.monotonic()
    options = _options()
    labels = attempt_labels(str(Instance.current_id()), settings.SLIPWAY.worker_host, NO_ATTEMPT)
    reached, memory_held, share = 0, False, float(options.cpus)
    failures: list[str] = []
    try:
        room = open_room(engine, options, labels)
        try:
            reached = _try_processes(engine, room, failures)
            memory_held = _try_memory(engine, room, failures)
            share = _try_cpu(engine, room, failures)
        finally:
            close_room(engine, room)
    except (ProblemError, APIError, RequestException) as error:
        failures.append(str(error))
    return SelfTestReport(
        engine=key, proven=not failures, processes_reached=reached, processes_limit=options.pids,
        memory_held=memory_held, memory_limit_mb=options.memory_mb, cpu_share=round(share, 3), cpu_limit=options.cpus,
        seconds=round(time.monotonic() - started, 1), at=time.time(), detail=" ".join(failures),
    )  # fmt: skip


def _options() -> RoomOptions:
    config = settings.SLIPWAY
    # A control group of the operator's has his limit on processes, so that one is what must hold.
    pids = config.build_pids if config.build_cgroup_parent else PIDS
    return RoomOptions(
        config.build_room_image, MEMORY_MB, CPUS, pids, cgroup_parent=config.build_cgroup_parent, network="none"
    )


def _try_processes(engine: Engine, room: Room, failures: list[str]) -> int:
    output = _build(engine, room, _FORKS.format(many=room.options.pids + 64))
    reached = max([int(n) for n in re.findall(r"^forked (\d+)", output, re.MULTILINE)], default=0)
    if not reached:
        failures.append(f"The test of processes did not run: {output[-300:]}")
    elif "ESCAPED" in output or reached > room.options.pids:
        failures.append(f"A build held {reached} processes; the limit was {room.options.pids}.")
    return reached


def _try_memory(engine: Engine, room: Room, failures: list[str]) -> bool:
    # The control first: an image that cannot run dd at all would look like a limit that holds.
    fits = "ESCAPED" in _build(engine, room, _EATS.format(megabytes=MEMORY_MB // 4))
    escaped = "ESCAPED" in _build(engine, room, _EATS.format(megabytes=MEMORY_MB * 2))
    if not fits:
        failures.append("The test of memory did not run.")
    elif escaped:
        failures.append(f"A build used {MEMORY_MB * 2} MB of memory; the limit was {MEMORY_MB} MB.")
    return fits and not escaped


def _try_cpu(engine: Engine, room: Room, failures: list[str]) -> float:
    """CPUs used on average by a build that spins on two, by the shell's own count of its children's time."""
    output = _build(engine, room, _SPINS)
    times = re.findall(r"^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$", output, re.MULTILINE)
    if not times:
        failures.append(f"The test of CPU did not run: {output[-300:]}")
        return 0.0
    user_minutes, user, system_minutes, system = (float(number) for number in times[-1])
    share = (60 * (user_minutes + system_minutes) + user + system) / _BUSY_SECONDS
    # Half as much again: the quota is kept per 100 ms, and a period that has begun is paid out.
    if share > room.options.cpus * 1.5:
        failures.append(f"A build used {share:.2f} CPUs; the limit was {room.options.cpus}.")
    return share


def _build(engine: Engine, room: Room, script: str) -> str:
    """Output of a build whose one RUN is ``script``; how it ended shows in the output."""
    content = f"FROM {room.options.image}\nRUN {script}\n".encode()
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    query = {"rm": "1", "forcerm": "1", "nocache": "1", **room.build_parameters}
    headers = {"Content-Type": "application/x-tar", **NO_CREDENTIALS}
    text: list[str] = []
    image = ""
    with engine.stream("POST", "/build", query, data=body.getvalue(), headers=headers) as response:
        for message in messages(response, Cut()):
            # The engine repeats the script itself, in the step's title and in its error.
            said = str(message.get("stream", ""))
            text += [said] if not said.startswith("Step ") else []
            image = str((message.get("aux") or {}).get("ID", "")) or image
    if image:
        with suppress(APIError):
            engine.api.remove_image(image, force=True)
    return "".join(text)
