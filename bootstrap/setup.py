"""The whole set-up: what is missing is listed first, then everything independent runs side by side."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bootstrap import apt, assets, base_image, chromium, engine, postgres, redis, registry, standin, venv
from bootstrap.errors import SetupError
from bootstrap.home import PYTHON, SHARED, Home
from bootstrap.report import say, step
from bootstrap.run import run
from bootstrap.settings import Backing

# A command that the product runs, and the distribution package that brings it.
COMMANDS = {"skopeo": "skopeo", "git": "git", "ssh": "openssh-client"}
# The same for the tests, which serve Git repositories over ssh, push files to them with Git LFS, and look at what curl
# asks for.
TEST_COMMANDS = {"sshd": "openssh-server", "git-lfs": "git-lfs", "curl": "curl"}
# Installed ahead of the rest, which takes longer, so that the Python packages can be fetched meanwhile.
SEED = {"python3-venv", "ca-certificates"}


@contextmanager
def exclusive() -> Iterator[None]:
    """One set-up at a time below one var/, which only its owner enters: sessions, sources and mail lie in it."""
    SHARED.var.mkdir(parents=True, exist_ok=True)
    SHARED.var.chmod(0o700)
    with SHARED.path("setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up is running here; waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def require_own_files(var: Path = SHARED.var, vendor: Path = assets.VENDOR) -> None:
    """Raises SetupError for an ordinary user where somebody else, most often root, ran the set-up before."""
    if apt.is_root() or not var.exists():
        return
    for path in (var, *var.iterdir(), vendor) if os.access(var, os.R_OK | os.X_OK) else (var,):
        if path.exists() and path.stat().st_uid != os.geteuid():
            raise SetupError(
                f"{path} belongs to another user, who ran the set-up here before. Run it as that user again, use a "
                f"clone of your own, or have what it made removed: sudo rm -r {var} {vendor}"
            )


def missing_packages(address: str, tests: bool) -> list[str]:
    """The distribution packages to install, each once. Raises SetupError where something cannot be installed."""
    wanted = venv.needs_packages() + engine.needs_packages(address) + registry.needs_packages(address)
    wanted += [package for command, package in COMMANDS.items() if not shutil.which(command)]
    if apt.can_install() and not venv.CA_BUNDLE.exists():
        wanted.append("ca-certificates")
    if tests:
        wanted += chromium.needs_packages() + postgres.needs_packages()
        everywhere = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        wanted += [name for command, name in TEST_COMMANDS.items() if not shutil.which(command, path=everywhere)]
    return list(dict.fromkeys(wanted))


class SetUp:
    """One pass of the set-up for one home."""

    def __init__(self, home: Home, tests: bool) -> None:
        self._home, self._tests = home, tests
        self._address = engine.find()
        self._packages = missing_packages(self._address, tests)
        if self._packages:
            apt.announce(self._packages, "the tests" if tests else "Slipway")
        self._pool = ThreadPoolExecutor(max_workers=6)

    def run(self) -> Backing:
        """Install and start all that the product's own processes need. Raises SetupError."""
        with self._pool as pool:
            seed = pool.submit(apt.install, [name for name in self._packages if name in SEED])
            self._installed = pool.submit(self._install_rest, seed)
            self._python = pool.submit(self._make_python, seed)
            front = pool.submit(self._make_assets)
            self._engine = pool.submit(self._start_engine)
            images = pool.submit(lambda: base_image.ensure(self._engine.result()))
            backing = pool.submit(self._start_services)
            errors = [error for future in (front, images, backing) if (error := future.exception())]
            if errors:
                raise errors[0]
            return backing.result()

    def _install_rest(self, seed: "Future[None]") -> None:
        seed.result()
        apt.install([name for name in self._packages if name not in SEED])

    def _make_python(self, seed: "Future[None]") -> None:
        seed.result()
        venv.ensure()
        if self._tests:
            venv.musl_uv()

    def _make_assets(self) -> None:
        if not shutil.which("npm"):
            self._python.result()
        assets.ensure()

    def _start_engine(self) -> str:
        self._installed.result()
        return self._address or engine.start()

    def _start_services(self) -> Backing:
        self._installed.result()
        self._python.result()
        with step("Redis"):
            broker = redis.ensure(self._home)
        with step("Staging registry"):
            staging = registry.ensure(self._home, self._engine.result())
        with step("AWS stand-in"):
            endpoint = standin.ensure(self._home, staging)
        return Backing(self._engine.result(), broker, staging, endpoint)


def migrate(env: dict[str, str]) -> None:
    """Bring the database to today's tables."""
    with step("Database"):
        run([PYTHON, "manage.py", "migrate", "--no-input", "--verbosity", "0"], "Migrating the database", env=env)


def require_tidy_environment() -> None:
    """Nothing of the caller's Python environment may leak into ours."""
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        os.environ.pop(name, None)
