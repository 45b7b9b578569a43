"""docker-compose.yml on this machine: which compose command there is, and one installation that it runs."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from bootstrap import apt
from bootstrap.engine_http import EngineClient
from bootstrap.errors import SetupError
from bootstrap.home import ROOT
from bootstrap.run import SHOWN_LINES

PACKAGE = "docker-compose"
#: Run once and end well; everything else stays and says that it is healthy.
ONE_SHOTS = ("migrate", "registry-password", "tools")
PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"


def commands() -> list[tuple[str, ...]]:
    """The compose commands that work here: `docker-compose` of any version, and docker's plugin."""
    tried = (("docker-compose",), ("docker", "compose"))
    return [words for words in tried if shutil.which(words[0]) and version(words)]


def version(words: Sequence[str]) -> str:
    """What the command says of its version, in one line; empty if it does not work."""
    done = subprocess.run([*words, "version", "--short"], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def ensure_command() -> tuple[str, ...]:
    """A compose command; installed from the distribution if there is none. Raises SetupError."""
    found = commands()
    if not found:
        apt.announce([PACKAGE], "compose")
        apt.install([PACKAGE])
        found = commands()
    if not found:
        raise SetupError("There is no compose command that works: neither docker-compose nor docker compose.")
    return found[0]


@dataclass
class Container:
    """What the engine says of one container of an installation."""

    service: str
    detail: dict[str, Any]

    @property
    def state(self) -> str:
        """``healthy``, ``starting``, ``unhealthy``, or the engine's word and exit code where no health is checked."""
        state = self.detail["State"]
        health = state.get("Health", {}).get("Status", "")
        return health or (f"exited {state['ExitCode']}" if state["Status"] == "exited" else str(state["Status"]))

    @property
    def is_ready(self) -> bool:
        return self.state == ("exited 0" if self.service in ONE_SHOTS else "healthy")


@dataclass
class Installation:
    """One project of docker-compose.yml. ``words`` is the compose command, ``settings`` its .env."""

    words: Sequence[str]
    project: str
    settings: Path
    client: EngineClient
    log: Path
    _environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Only .env decides: what the caller's shell has set would win over it.
        names = {line.partition("=")[0] for line in self.settings.read_text().splitlines() if "=" in line}
        kept = {name: value for name, value in os.environ.items() if name not in names}
        kept = {name: value for name, value in kept.items() if not name.startswith(("SLIPWAY_", "COMPOSE_"))}
        self._environment = {**kept, "DOCKER_HOST": self.client.address}

    def run(
        self, *words: str, stdin: IO[bytes] | bytes | None = None, stdout: IO[bytes] | None = None, check: bool = True
    ) -> str:
        """Run one compose command; its output, unless it goes to a file. Raises SetupError with its last lines."""
        argv = [*self.words, "--project-directory", str(ROOT), "-f", str(ROOT / "docker-compose.yml")]
        argv += ["--env-file", str(self.settings), "-p", self.project, *words]
        given: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin or subprocess.DEVNULL}
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(words)}\n".encode())
            log.flush()
            done = subprocess.run(
                argv, stdout=stdout or subprocess.PIPE, stderr=log, env=self._environment, cwd=ROOT, **given
            )
        text = "" if stdout else done.stdout.decode(errors="replace")
        if done.returncode and check:
            raise SetupError(f"compose {' '.join(words)} failed (code {done.returncode}):\n{text}{self._log_end()}")
        return text

    def _log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-SHOWN_LINES:])

    def containers(self) -> list[Container]:
        """Everything of this project in the engine, whatever made it."""
        listed = self._get(f"/containers/json?all=1&filters={self._filter()}")
        found = []
        for entry in listed:
            status, body = self.client.call("GET", f"/containers/{entry['Id']}/json")
            if status == 200:
                found.append(Container(entry["Labels"].get(SERVICE_LABEL, ""), json.loads(body)))
        return found

    def volumes(self) -> list[str]:
        return [volume["Name"] for volume in self._get(f"/volumes?filters={self._filter()}")["Volumes"] or []]

    def networks(self) -> list[str]:
        return [network["Name"] for network in self._get(f"/networks?filters={self._filter()}")]

    def _filter(self) -> str:
        return quote(json.dumps({"label": [f"{PROJECT_LABEL}={self.project}"]}))

    def _get(self, path: str) -> Any:
        status, body = self.client.call("GET", path)
        if status != 200:
            raise SetupError(f"The engine answered {status} to {path}: {body.decode(errors='replace')}")
        return json.loads(body)

    def wait_ready(self, services: Sequence[str] = (), seconds: float = 300) -> None:
        """Wait until every container (of these services) is as it should be. Raises SetupError with what is not."""

        def ready() -> bool:
            here = [one for one in self.containers() if not services or one.service in services]
            bad = [f"{one.service}: {one.state}" for one in here if not one.is_ready]
            missing = set(services) - {one.service for one in here}
            self._waiting_for = ", ".join(sorted([*bad, *missing])) or ("" if here else "containers")
            return not self._waiting_for

        wait_until(ready, lambda: f"still waiting for {self._waiting_for}", seconds)

    def service_log(self, service: str, lines: int = 30) -> str:
        return self.run("logs", "--no-color", "--tail", str(lines), service, check=False)


def wait_until(done: Callable[[], bool], what: Callable[[], str], seconds: float, pause: float = 0.5) -> None:
    """Ask ``done`` until it says yes. Raises SetupError with what ``what`` says when the time is up."""
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise SetupError(f"After {seconds:.0f} s: {what()}")
        time.sleep(pause)
