"""Long-running processes of ours: started in their own process group, found again by pid file, stopped whole."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.errors import SetupError
from bootstrap.home import Home, read_json

LOG_TAIL_LINES = 15
POLL_SECONDS = 0.05
# Children of this very process, by pid; they would stay zombies if nobody collected them.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Program:
    """How to run one service. `ready` is asked until it is true;"""

    name: str
    argv: Sequence[str]
    ready: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready_seconds: float = 60
    stop_seconds: float = 10


def _birth(pid: int) -> str:
    """What tells this process from a later one with the same number; empty if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
        shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
        return shown.stdout.strip()
    return "" if fields[0] == "Z" else fields[19]


def log_path(home: Home, name: str) -> Path:
    return home.path("log", f"{name}.log")


def pid_path(home: Home, name: str) -> Path:
    return home.path("run", f"{name}.json")


def running_pid(home: Home, name: str) -> int:
    """The pid of a service of ours that still runs; 0 if none does."""
    record = read_json(pid_path(home, name))
    pid, birth = record.get("pid"), record.get("birth")
    if isinstance(pid, int) and birth and _birth(pid) == birth:
        return pid
    return 0


def tail(home: Home, name: str, lines: int = LOG_TAIL_LINES) -> str:
    try:
        text = log_path(home, name).read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def start(home: Home, program: Program) -> bool:
    """Start a service and wait until it is ready. False if it ran already.

    Raises SetupError, with the end of its log, if it ends or is not ready in time.
    """
    if running_pid(home, program.name):
        return False
    child = _spawn(home, program)
    until = time.monotonic() + program.ready_seconds
    while time.monotonic() < until:
        code = child.poll()
        if code is not None:
            raise SetupError(_died(home, program, f"ended with code {code}"))
        if program.ready():
            return True
        time.sleep(POLL_SECONDS)
    stop(home, program.name, program.stop_seconds)
    raise SetupError(_died(home, program, f"was not ready after {program.ready_seconds:.0f}s"))


def _spawn(home: Home, program: Program) -> subprocess.Popen[bytes]:
    log = log_path(home, program.name)
    with log.open("wb") as output:
        child = subprocess.Popen(
            list(program.argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **program.env},
            cwd=program.cwd or home.root,
            start_new_session=True,
        )
    _CHILDREN[child.pid] = child
    record = {"pid": child.pid, "birth": _birth(child.pid), "argv": list(program.argv)[:1]}
    pid_path(home, program.name).write_text(json.dumps(record))
    return child


def _died(home: Home, program: Program, what: str) -> str:
    return f"{program.name} {what}. Its log ({log_path(home, program.name)}) ends:\n{tail(home, program.name)}"


def stop(home: Home, name: str, seconds: float = 10) -> bool:
    """End a service and its whole process group: SIGTERM to its leader, SIGKILL to what is left. False if none ran."""
    pid = running_pid(home, name)
    path = pid_path(home, name)
    if not pid:
        path.unlink(missing_ok=True)
        return False
    _signal(os.kill, pid, signal.SIGTERM)
    until = time.monotonic() + seconds
    while time.monotonic() < until and running_pid(home, name):
        _reap(pid)
        time.sleep(POLL_SECONDS)
    _signal(os.killpg, pid, signal.SIGKILL)
    if pid in _CHILDREN:
        _CHILDREN.pop(pid).wait()
    path.unlink(missing_ok=True)
    return True


def _signal(send: Callable[[int, int], None], target: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        send(target, number)


def _reap(pid: int) -> None:
    """Collect the process if it is a child of this one and has ended."""
    if pid in _CHILDREN and _CHILDREN[pid].poll() is not None:
        del _CHILDREN[pid]
