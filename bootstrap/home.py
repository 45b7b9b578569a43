"""Where one set of Slipway's processes keeps its files: `var/` for the demo, `var/test/` for the tests."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from bootstrap.errors import SetupError

ROOT = Path(__file__).resolve().parent.parent
# sun_path holds 108 bytes with its closing zero; a margin stays for the suffixes that daemons add.
SOCKET_PATH_LIMIT = 103


@dataclass(frozen=True)
class Home:
    """One data directory. Two homes on one machine share nothing but the venv, the assets and the engine."""

    var: Path
    name: str = "demo"
    root: Path = ROOT

    def path(self, *parts: str) -> Path:
        """A path below the data directory, its parent made."""
        path = self.var.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def directory(self, *parts: str, mode: int = 0o755) -> Path:
        path = self.var.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True, mode=mode)
        return path

    def secret(self, name: str) -> str:
        """A random secret, made once and kept in a file that only its owner reads."""
        path = self.directory("secrets", mode=0o700) / name
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32))
        return path.read_text().strip()


SHARED = Home(ROOT / "var")
DEMO = SHARED
TEST = Home(ROOT / "var" / "test", name="test")

PYTHON = ROOT / "var" / "venv" / "bin" / "python"


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def read_json(path: Path) -> dict[str, object]:
    """A JSON object from a file; empty where the file is missing or was cut short."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def require_short_socket(path: Path) -> Path:
    """Refuse a Unix socket path that the kernel could not bind."""
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise SetupError(
            f"The path {path} is too long for a Unix socket ({len(os.fsencode(path))} bytes, "
            f"at most {SOCKET_PATH_LIMIT}). Move the project to a directory with a shorter path."
        )
    return path
