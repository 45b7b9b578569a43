"""The .env of docker-compose.yml: every password and key random, in a file that only its owner reads."""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from bootstrap.errors import SetupError
from bootstrap.home import ROOT, write_private

PATH = ROOT / ".env"
EXAMPLE = ROOT / "deploy" / ".env.example"
SOCKET = Path("/var/run/docker.sock")


def random_values() -> dict[str, str]:
    """Fresh secrets, and the addresses that carry them. No character needs quoting, in a URL or in an .env."""
    postgres, redis = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    return {
        "SLIPWAY_SECRET_KEY": secrets.token_urlsafe(48),
        "SLIPWAY_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "SLIPWAY_STAGING_PASSWORD": secrets.token_urlsafe(32),
        "POSTGRES_PASSWORD": postgres,
        "REDIS_PASSWORD": redis,
        "REGISTRY_HTTP_SECRET": secrets.token_urlsafe(32),
        "DATABASE_URL": f"postgresql://slipway:{postgres}@postgres:5432/slipway",
        "REDIS_URL": f"redis://:{redis}@redis:6379/0",
    }


def engine_socket(env: Mapping[str, str] = os.environ) -> Path:
    """The engine's socket that containers are given: the one named, that of DOCKER_HOST, or the usual one."""
    address = env.get("DOCKER_HOST", "")
    listening = Path(address.removeprefix("unix://")) if address.startswith("unix://") else SOCKET
    return Path(env.get("DOCKER_SOCKET") or listening)


def socket_group(socket: Path = SOCKET) -> str:
    """The number of the group that may use the engine's socket. Raises SetupError where there is no socket."""
    try:
        return str(socket.stat().st_gid)
    except OSError as error:
        raise SetupError(f"There is no engine's socket at {socket}; name it with DOCKER_SOCKET=...") from error


def fill(template: str, values: Mapping[str, str]) -> str:
    """``template`` with a value after each ``NAME=`` that ``values`` has, commented out or not."""
    left, lines = dict(values), []
    for line in template.splitlines():
        name = line.lstrip("# ").partition("=")[0]
        if "=" in line and name in left and line.removeprefix("# ").startswith(name):
            line = f"{name}={left.pop(name)}"
        lines.append(line)
    return "\n".join([*lines, *(f"{name}={value}" for name, value in left.items())]) + "\n"


def write(path: Path = PATH, extra: Mapping[str, str] | None = None) -> Path:
    """Write a new .env. Raises SetupError if there is one: its keys are the only way into what they have sealed."""
    if path.exists():
        raise SetupError(f"{path} is there already and stays as it is: what its keys have sealed, only they open.")
    socket = engine_socket()
    values = {**random_values(), "DOCKER_SOCKET": str(socket), "DOCKER_GID": socket_group(socket), **(extra or {})}
    write_private(path, fill(EXAMPLE.read_text(), values))
    return path
