"""The Docker Engine: the one that answers, else the distribution's own, run with everything below var/engine."""

import grp
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bootstrap import apt, processes
from bootstrap.engine_http import EngineClient
from bootstrap.errors import SetupError
from bootstrap.home import SHARED, require_short_socket
from bootstrap.report import say, step

NAME = "dockerd"
DEFAULT_SOCKET = Path("/var/run/docker.sock")
READY_SECONDS = 60
STOP_SECONDS = 30
# An older daemon's command line is complete with docker.io; later releases split the client off.
CLIENT_PACKAGES = ("docker-cli", "docker.io")


def own_socket() -> Path:
    return SHARED.var / "engine" / "docker.sock"


def candidates() -> Iterator[str]:
    """Addresses at which an engine may answer, the likeliest first."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    paths = [own_socket(), DEFAULT_SOCKET, Path.home() / ".docker" / "run" / "docker.sock"]
    paths += [Path(runtime) / "docker.sock"] if runtime else []
    # os.access: a folder that this user may not enter, such as the last user's after `su`, holds no engine for them.
    return (f"unix://{path}" for path in paths if os.access(path, os.F_OK))


def find() -> str:
    """The address of an engine that answers; empty if none does. Raises SetupError if DOCKER_HOST does not."""
    given = os.environ.get("DOCKER_HOST", "")
    if given:
        if not EngineClient(given).answers():
            raise SetupError(f"DOCKER_HOST={given} is set, but no engine answers there. Correct or unset it.")
        return given
    for address in candidates():
        if EngineClient(address).answers():
            return address
    refused = [path for path in (DEFAULT_SOCKET,) if path.exists() and not os.access(path, os.W_OK)]
    if refused:
        raise SetupError(_refusal(refused[0]))
    return ""


def _refusal(socket: Path) -> str:
    """How an ordinary user comes to use the engine at a socket that is closed to them."""
    number = socket.stat().st_gid
    try:
        group = grp.getgrgid(number).gr_name
    except KeyError:
        group = str(number)
    # Who is in root's own group may do far more than use the engine.
    way = (
        f"Have root add the user to its group, then sign in anew: sudo usermod -aG {group} $USER"
        if number
        else f"Have root give it a group: sudo groupadd -f docker; sudo chgrp docker {socket}; "
        "sudo usermod -aG docker $USER; then sign in anew"
    )
    return (
        f"There is an engine at {socket}, but this user may not use it.\n{way}\nOr set DOCKER_HOST to another engine."
    )


def is_default(address: str) -> bool:
    return address == f"unix://{DEFAULT_SOCKET}"


def needs_packages(address: str) -> list[str]:
    """Distribution packages to install for the engine and the command that sends builds to it."""
    if not address and not apt.is_root():
        _refuse_if_stopped()
        return ["docker.io", *([] if shutil.which("docker") else _client_package())]
    if not address and not shutil.which("dockerd"):
        _require_installable()
        return ["docker.io", "iptables", *([] if shutil.which("docker") else _client_package())]
    if not address and not shutil.which("iptables"):
        return ["iptables"]
    return [] if shutil.which("docker") else _client_package()


def _client_package() -> list[str]:
    if apt.can_install() and not apt.has_candidate("docker.io"):
        apt.refresh()
    found = [name for name in CLIENT_PACKAGES if shutil.which("apt-cache") and apt.has_candidate(name)]
    return [found[0] if found else CLIENT_PACKAGES[-1]]


def _refuse_if_stopped() -> None:
    # Its folder is not on an ordinary user's PATH.
    if shutil.which("dockerd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"):
        raise SetupError(
            "No Docker Engine answers, though one is installed. Have root start it (sudo systemctl start docker), "
            "or set DOCKER_HOST to one that runs."
        )


def _require_installable() -> None:
    if not apt.can_install():
        raise SetupError(
            "No Docker Engine answers. Start one, or point DOCKER_HOST at one (Slipway needs 20.10 or later), or run "
            "this as root on Debian or Ubuntu, where the distribution's engine is installed and started below var/."
        )


def foreign_daemon() -> int:
    """The pid of a dockerd that is not ours but shares this network namespace; 0 if there is none."""
    own = processes.running_pid(SHARED, NAME)
    here = _network_namespace("self")
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_dockerd = (entry / "comm").read_text().strip() == "dockerd"
        except OSError:
            continue
        if is_dockerd and int(entry.name) != own and _network_namespace(entry.name) == here:
            return int(entry.name)
    return 0


def _network_namespace(pid: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


def start() -> str:
    """Start an engine of our own and return its address. Raises SetupError where that cannot be done safely."""
    if not apt.is_root():
        raise SetupError("Starting a Docker Engine needs root. Start one yourself or set DOCKER_HOST.")
    other = foreign_daemon()
    if other:
        raise SetupError(
            f"Another Docker daemon (process {other}) runs here but does not answer at {DEFAULT_SOCKET}. A second one "
            f"would break its network: set DOCKER_HOST to the address that it listens on."
        )
    home = SHARED.directory("engine")
    # The longest path that dockerd derives from its exec root.
    require_short_socket(home / "exec" / "containerd" / "containerd.sock.ttrpc")
    address = f"unix://{own_socket()}"
    configuration = home / "daemon.json"
    configuration.write_text("{}\n")
    flags = {"data-root": home / "data", "exec-root": home / "exec", "pidfile": home / "dockerd.pid"}
    argv = ["dockerd", f"--config-file={configuration}", f"--host={address}"]
    argv += [f"--{name}={path}" for name, path in flags.items()]
    program = processes.Program(
        name=NAME,
        argv=argv,
        ready=EngineClient(address).answers,
        # Without these BuildKit cuts a build's log short.
        env={"BUILDKIT_STEP_LOG_MAX_SIZE": "-1", "BUILDKIT_STEP_LOG_MAX_SPEED": "-1"},
        ready_seconds=READY_SECONDS,
    )
    with step("Docker Engine"):
        processes.start(SHARED, program)
    say(f"Docker Engine of our own: {address}")
    return address


def is_ours_running() -> bool:
    return bool(processes.running_pid(SHARED, NAME))


def stop() -> bool:
    """Stop the engine that we started, and unmount what it left below var/engine."""
    if not processes.stop(SHARED, NAME, STOP_SECONDS):
        return False
    unmount_below(SHARED.var / "engine")
    return True


def unmount_below(directory: Path) -> None:
    """Unmount everything mounted below a directory, the deepest first."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    for point in sorted((p for p in points if p.startswith(f"{directory}/")), key=len, reverse=True):
        for _ in range(3):
            if subprocess.run(["umount", point], capture_output=True).returncode == 0:
                break
            time.sleep(0.2)
