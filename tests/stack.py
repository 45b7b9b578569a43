"""A whole Slipway in processes of its own, on the test's database: what crash and end-to-end tests drive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from celery import Celery
from django.conf import settings as django_settings
from django.db import connection

from listings.models import Instance, WorkerProcess
from portal import celery as portal_celery
from tests import programs
from tests.aws_fixtures import Standin
from tests.registry_fixtures import Registry
from tests.services.live_fixtures import RealRedis
from workers.engine import Engine, Owned

ROOT = Path(django_settings.BASE_DIR)
LEASE_SECONDS = 5


def wait_until(what: str, condition: Callable[[], Any], seconds: float = 120, every: float = 0.1) -> Any:
    """The first true answer of ``condition``; fails the test with ``what`` if there is none in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = condition()
        if answer:
            return answer
        time.sleep(every)
    pytest.fail(f"timed out after {seconds} s: {what}")


def database_url() -> str:
    """The test database as the processes of the stack must name it."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{given['NAME']}"
    host, port = quote(given["HOST"], safe=""), given["PORT"]
    password = f":{quote(given['PASSWORD'])}" if given["PASSWORD"] else ""
    at = f"{quote(given['USER'])}{password}@"
    if given["HOST"].startswith("/"):
        return f"postgresql://{at}/{given['NAME']}?host={given['HOST']}" + (f"&port={port}" if port else "")
    return f"postgresql://{at}{host}:{port or 5432}/{given['NAME']}"


class Stack:
    """``env`` is what every process gets. Processes run in sessions of their own and die with the fixture."""

    def __init__(self, env: dict[str, str], folder: Path, port: int, redis: RealRedis) -> None:
        self.env, self.folder, self.port, self.redis = env, folder, port, redis
        self.url = f"http://127.0.0.1:{port}"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *argv: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = programs.start(
                [sys.executable, "-m", *argv], cwd=ROOT, env=self.env, stdout=log, stderr=subprocess.STDOUT
            )
        self.processes.append(process)
        return process

    def engine_worker(self, slots: int = 2) -> subprocess.Popen[bytes]:
        """Started and ready to take steps."""
        before = set(WorkerProcess.objects.filter(queue="engine", slots__gt=0).values_list("boot", flat=True))
        process = self.worker("engine", slots)
        fresh = WorkerProcess.objects.filter(queue="engine", slots__gt=0).exclude(boot__in=before)
        wait_until("an engine worker is ready", fresh.exists)
        return process

    def control_worker(self) -> subprocess.Popen[bytes]:
        process = self.worker("control", 1)
        wait_until("a control worker is ready", WorkerProcess.objects.filter(queue="control").exists)
        return process

    def worker(self, queue: str, slots: int) -> subprocess.Popen[bytes]:
        """Started, and not waited for."""
        return self.start(
            queue, "celery", "-A", "portal", "worker", "-Q", queue, "-c", str(slots), "-n", f"{queue}@test",
            "--prefetch-multiplier", "1", "--without-gossip", "--without-mingle", "--loglevel", "INFO",
        )  # fmt: skip

    def beat(self) -> None:
        self.start("beat", "celery", "-A", "portal", "beat", "--schedule", str(self.folder / "beat"), "--pidfile", "")

    def portal(self) -> str:
        """The portal's address, once it answers."""
        self.start("portal", "uvicorn", "portal.asgi:application", "--port", str(self.port), "--no-access-log",
                   "--timeout-graceful-shutdown", "1")  # fmt: skip
        wait_until("the portal answers", self._healthy, 60)
        return self.url

    def _healthy(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    @property
    def host(self) -> str:
        return self.env["SLIPWAY_WORKER_HOST"]

    @property
    def data_dir(self) -> Path:
        return Path(self.env["SLIPWAY_DATA_DIR"])

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """``kill -9`` for the whole process group."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                self.kill(process)

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""


def children_of(pid: int) -> list[int]:
    """The processes whose parent is ``pid``, oldest first."""
    found = []
    with suppress(OSError):  # not every kernel keeps this list
        return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    for entry in Path("/proc").iterdir():
        # A process may end while it is looked at.
        with suppress(OSError, IndexError):
            if entry.name.isdigit() and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return sorted(found)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def ours(engine: Engine) -> list[Owned]:
    """What this test's instance has in the engine now, cached images excepted."""
    return [thing for thing in engine.owned(str(Instance.current_id())) if thing.kind != "image"]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data directory for all stacks of a test run, so that the engine's limits are proven once."""
    return tmp_path_factory.mktemp("slipway")


@contextmanager
def running_stack(
    engine: Engine, registry: Registry, standin: Standin, data_dir: Path, folder: Path, **env: str
) -> Iterator[Stack]:
    """A stack on the database that this process uses, stopped and cleared away afterwards."""
    redis, port = RealRedis(), programs.free_port()
    given = {name: value for name, value in os.environ.items() if not name.startswith(("SLIPWAY_", "COV_"))}
    given |= {
        "DATABASE_URL": database_url(),
        "REDIS_URL": redis.url,
        "SLIPWAY_ENV": "demo",
        "SLIPWAY_DATA_DIR": str(data_dir),
        "SLIPWAY_SECRET_KEY": uuid.uuid4().hex,
        "SLIPWAY_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SLIPWAY_WORKER_HOST": f"host-{uuid.uuid4().hex[:8]}",
        "SLIPWAY_STAGING_REGISTRY_ENGINE": registry.host,
        "SLIPWAY_STAGING_REGISTRY_WORKER": registry.host,
        "SLIPWAY_STAGING_USERNAME": registry.username,
        "SLIPWAY_STAGING_PASSWORD": registry.password,
        "SLIPWAY_AWS_ENDPOINT_URL": standin.url,
        "SLIPWAY_AWS_POLL_SECONDS": "0.5",
        "SLIPWAY_LEASE_SECONDS": str(LEASE_SECONDS),
        "SLIPWAY_HEARTBEAT_SECONDS": "1",
        "SLIPWAY_TICK_SECONDS": "1",
        "SLIPWAY_REAP_SECONDS": "2",
        "SLIPWAY_HINT_REPEAT_SECONDS": "3",
    }
    running = Stack(given | env, folder, port, redis)
    with pytest.MonkeyPatch.context() as patch:
        # What the test does through the verbs is hinted at as the portal would.
        patch.setattr(portal_celery, "app", Celery("test", broker=redis.url, set_as_current=False))
        try:
            yield running
        finally:
            running.stop()
            redis.kill()
            engine.remove(ours(engine))


@pytest.fixture
def stack_environment() -> dict[str, str]:
    """What the processes of ``stack`` get besides; for a suite to override."""
    return {}


@pytest.fixture
def stack(
    transactional_db: None,
    engine: Engine,
    registry: Registry,
    standin: Standin,
    data_dir: Path,
    tmp_path: Path,
    settings: Any,
    stack_environment: dict[str, str],
) -> Iterator[Stack]:
    # The test process reads what the workers store.
    settings.MEDIA_ROOT = data_dir / "storage"
    with running_stack(engine, registry, standin, data_dir, tmp_path, **stack_environment) as running:
        yield running
