"""The Python environment below var/venv, made of hash-locked packages only, and re-made when a lock changes."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from bootstrap.errors import SetupError
from bootstrap.home import PYTHON, ROOT, SHARED
from bootstrap.report import step
from bootstrap.run import run

OLDEST_PYTHON = (3, 11)
LOCKS = ("requirements.txt", "requirements-embedded.txt", "requirements-dev.txt")
TOOL_LOCKS = Path(__file__).parent / "locks"
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# (uv's variable, pip's variable, pip's configuration key): who set a package index for pip meant uv too.
INDEX_SETTINGS = (
    ("UV_DEFAULT_INDEX", "PIP_INDEX_URL", "global.index-url"),
    ("UV_INDEX", "PIP_EXTRA_INDEX_URL", "global.extra-index-url"),
)


_LOCK = threading.Lock()


def digest(paths: Iterable[Path], *more: str) -> str:
    """SHA-256 over the content of files and some text: the key under which a finished piece of set-up is kept."""
    total = hashlib.sha256("\0".join(more).encode())
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()


def is_done(marker: Path, key: str) -> bool:
    return marker.exists() and marker.read_text() == key


def needs_packages() -> list[str]:
    """Distribution packages without which no Python environment can be made here."""
    if importlib.util.find_spec("pip") or importlib.util.find_spec("ensurepip"):
        return []
    return ["python3-venv"]


def require_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        wanted, found = ".".join(map(str, OLDEST_PYTHON)), ".".join(map(str, sys.version_info[:3]))
        raise SetupError(f"Slipway needs Python {wanted} or later, and this is {found}. Set PYTHON=... for make.")


def uv() -> Path:
    """The pinned uv, installed from its locked wheel into var/tools."""
    home = SHARED.directory("tools")
    program, marker, lock = home / "uv" / "bin" / "uv", home / "uv.done", TOOL_LOCKS / "uv.txt"
    key = digest([lock])
    with _LOCK:
        if not (is_done(marker, key) and program.exists()):
            options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--upgrade"]
            command = [*_pip(home), "install", *options, "--target", home / "uv", "-r", lock]
            run(command, "Installing uv from its lock")
            marker.write_text(key)
    return program


def musl_uv() -> Path:
    """The same uv linked statically with musl: what the tests take for a program that brings its own resolver."""
    home = SHARED.path("tools", "uv-musl")
    program, marker, lock = home / "bin" / "uv", SHARED.path("tools", "uv-musl.done"), TOOL_LOCKS / "uv.txt"
    key = digest([lock])
    if not (is_done(marker, key) and program.exists()):
        options = ["--quiet", "--no-deps", "--require-hashes", "--python-platform", "x86_64-unknown-linux-musl"]
        command = [uv(), "pip", "install", *options, "--python", PYTHON, "--target", home, "-r", lock]
        run(command, "Installing a program linked with musl", env=uv_environment())
        marker.write_text(key)
    return program


def _pip(home: Path) -> list[str | Path]:
    """A pip to begin with: Python's own, else one in a small environment of its own."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    seed = home / "seed" / "bin" / "python"
    if not seed.exists():
        run([sys.executable, "-m", "venv", home / "seed"], "Making a Python environment")
    return [seed, "-m", "pip"]


def uv_environment() -> dict[str, str]:
    """What uv must know of this machine: pip's package index and the system's certificates."""
    # Several indexes are searched as pip does it; the locked hashes decide what may be installed.
    env = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "UV_INDEX_STRATEGY": "unsafe-best-match"}
    if CA_BUNDLE.exists():
        env["SSL_CERT_FILE"] = os.environ.get("SSL_CERT_FILE", str(CA_BUNDLE))
    configured = _pip_configuration()
    for name, pip_name, key in INDEX_SETTINGS:
        value = os.environ.get(name) or os.environ.get(pip_name) or configured.get(key, "")
        if value:
            env[name] = value
    return env


def _pip_configuration() -> dict[str, str]:
    if not importlib.util.find_spec("pip"):
        return {}
    command = [sys.executable, "-m", "pip", "config", "list"]
    shown = subprocess.run(command, capture_output=True, text=True).stdout
    pairs = (line.partition("=") for line in shown.splitlines())
    return {key: value.strip("'\"") for key, _, value in pairs}


def ensure() -> None:
    """Make var/venv hold exactly the locked packages. Seconds when a lock changed, nothing otherwise."""
    require_python()
    marker = SHARED.path("venv.done")
    key = digest((ROOT / name for name in LOCKS), sys.version)
    if is_done(marker, key) and PYTHON.exists():
        return
    with step("Python packages"):
        program, env = uv(), uv_environment()
        if not PYTHON.exists():
            run([program, "venv", "--quiet", "--python", sys.executable, PYTHON.parent.parent], "uv venv", env=env)
        command = [program, "pip", "sync", "--quiet", "--require-hashes", "--python", PYTHON]
        run([*command, *(ROOT / name for name in LOCKS)], "Installing the locked Python packages", env=env)
    marker.write_text(key)


def compile_locks(upgrade: bool) -> None:
    """Bring the lock files to their .in files, free of index addresses; to newer versions only if asked."""
    program, env = uv(), uv_environment()
    options = ["--quiet", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-header"]
    options += ["--universal", "--python-version", ".".join(map(str, OLDEST_PYTHON)), *(["--upgrade"] * upgrade)]
    for name in LOCKS:
        lock = ROOT / name
        with step(f"Locking {name}"):
            command = [program, "pip", "compile", *options, "-o", lock, lock.with_suffix(".in")]
            run(command, f"Locking {name}", env=env)
