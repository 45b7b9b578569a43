"""The staging registry: an OCI registry on a loopback port, behind a password, that allows deletion.

A registry program on this machine is used, else the image `registry:2` where it can be pulled, else Debian's package.
"""

import base64
import json
import os
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass

from bootstrap import ports, processes, venv
from bootstrap.engine_http import EngineClient
from bootstrap.errors import SetupError
from bootstrap.home import PYTHON, Home, write_private
from bootstrap.run import run

NAME = "registry"
USER = "slipway"
IMAGE = "registry:2"
PACKAGE = "docker-registry"
PORT_INSIDE = 5000
# The password is 256 random bits, so the cheapest hash is as safe as a slow one and spares every blob request.
HASH_COST = 4
HASH_PROGRAM = (
    f"import bcrypt, sys; password = open(sys.argv[1], 'rb').read(); "
    f"print(bcrypt.hashpw(password, bcrypt.gensalt({HASH_COST})).decode())"
)


@dataclass(frozen=True)
class Registry:
    """A running staging registry under its two names: the engine's and the workers'."""

    engine: str
    worker: str
    username: str
    password: str

    @property
    def url(self) -> str:
        """The workers' name with its scheme: only a registry on this machine goes without TLS."""
        plain = self.worker.partition(":")[0] in ("127.0.0.1", "localhost")
        return f"{'http' if plain else 'https'}://{self.worker}"


def _program() -> str:
    return shutil.which("docker-registry") or shutil.which("registry") or ""


def given() -> Registry | None:
    """The registry that the environment names, if it names one."""
    env = os.environ
    host = env.get("SLIPWAY_STAGING_REGISTRY_ENGINE", "")
    if not host:
        return None
    worker = env.get("SLIPWAY_STAGING_REGISTRY_WORKER", host)
    return Registry(host, worker, env.get("SLIPWAY_STAGING_USERNAME", USER), env.get("SLIPWAY_STAGING_PASSWORD", ""))


def needs_packages(engine: str) -> list[str]:
    """Distribution packages without which no registry can be had here. Tries a pull where an engine answers."""
    if given() or _program() or (engine and _has_image(engine)):
        return []
    return [PACKAGE]


def _has_image(engine: str) -> bool:
    client = EngineClient(engine)
    return client.image_labels(IMAGE) is not None or client.pull(IMAGE)


def ensure(home: Home, engine: str) -> Registry:
    """A registry that answers; started if the environment names none."""
    named = given()
    if named:
        if not _answers(named):
            raise SetupError(f"The registry {named.worker} does not answer, or refuses the given user and password.")
        return named
    running = processes.running_pid(home, NAME)
    port = ports.remembered(home, NAME) if running else ports.pick(home, NAME)
    host, password = f"{ports.LOOPBACK}:{port}", home.secret("registry")
    registry = Registry(host, host, USER, password)
    if not running:
        argv = _as_process(home, port) if _program() else _as_container(home, port, engine)
        program = processes.Program(
            NAME, argv, ready=lambda: _answers(registry), env=_clean_environment(), ready_seconds=30
        )
        processes.start(home, program)
    return registry


def _clean_environment() -> dict[str, str]:
    # The registry takes every REGISTRY_* variable for a setting.
    return {name: "" for name in os.environ if name.startswith("REGISTRY_")}


def _password_file(home: Home) -> str:
    path = home.path("registry", "htpasswd")
    if not path.exists():
        home.secret("registry")
        command = [PYTHON, "-c", HASH_PROGRAM, home.path("secrets", "registry")]
        write_private(path, f"{USER}:{run(command, 'Hashing the registry password').strip()}\n")
    return str(path)


def _configuration(address: str, data: str, passwords: str, secret: str) -> str:
    """The registry's configuration. It is YAML, of which JSON is a part."""
    return json.dumps(
        {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": data}, "delete": {"enabled": True}},
            "http": {"addr": address, "secret": secret},
            "auth": {"htpasswd": {"realm": "slipway", "path": passwords}},
        },
        indent=2,
    )


def _as_process(home: Home, port: int) -> list[str]:
    data = str(home.directory("registry", "data"))
    text = _configuration(f"{ports.LOOPBACK}:{port}", data, _password_file(home), home.secret("registry-http"))
    path = home.path("registry", "config.yml")
    write_private(path, text)
    return [_program(), "serve", str(path)]


def _as_container(home: Home, port: int, engine: str) -> list[str]:
    """The command that runs the registry's image in the foreground; its container goes when the command ends."""
    text = _configuration(f":{PORT_INSIDE}", "/data", "/etc/slipway/htpasswd", home.secret("registry-http"))
    _password_file(home)
    write_private(home.path("registry", "config.yml"), text)
    # A container of ours whose command was killed still holds the name and perhaps the port.
    name = f"slipway-registry-{venv.digest([], str(home.var))[:12]}"
    EngineClient(engine).remove_container(name)
    argv = [
        "docker",
        "--host",
        engine,
        "run",
        "--rm",
        "--init",
        "--name",
        name,
        "--label",
        f"slipway.bootstrap={home.var}",
    ]
    folder, data = home.directory("registry"), home.directory("registry", "data")
    argv += ["--user", f"{os.getuid()}:{os.getgid()}", "--publish", f"{ports.LOOPBACK}:{port}:{PORT_INSIDE}"]
    argv += ["--volume", f"{folder}:/etc/slipway:ro", "--volume", f"{data}:/data"]
    return [*argv, IMAGE, "serve", "/etc/slipway/config.yml"]


def _answers(registry: Registry) -> bool:
    """Whether the registry's API accepts this user."""
    token = base64.b64encode(f"{registry.username}:{registry.password}".encode()).decode()
    request = urllib.request.Request(f"{registry.url}/v2/", headers={"Authorization": f"Basic {token}"})
    # A proxy of this machine's must not be asked for the machine itself.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with (direct.open if request.type == "http" else urllib.request.urlopen)(request, timeout=3) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
