"""Slipway's processes one by one, on the test's database and a Redis of their own, for what is asked of each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests import programs
from tests.services.live_fixtures import RealRedis, real_redis
from tests.stack import database_url

__all__ = ["Processes", "processes", "real_redis"]

CONTROL_WORKER = (
    "celery", "-A", "portal", "worker", "-Q", "control", "-c", "1", "-n", "control@log", "--without-gossip",
    "--without-mingle", "--loglevel", "INFO",
)  # fmt: skip


class Processes:
    """Each writes its output to a file of its own."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.secret_key, self.folder = uuid.uuid4().hex, folder
        self.started: list[subprocess.Popen[bytes]] = []
        self._env = {name: value for name, value in os.environ.items() if not name.startswith(("SLIPWAY_", "COV_"))}
        self._env |= {
            "DATABASE_URL": database_url(), "REDIS_URL": redis_url, "SLIPWAY_ENV": "demo", "SLIPWAY_JSON_LOGS": "1",
            "SLIPWAY_SECRET_KEY": self.secret_key, "SLIPWAY_DATA_DIR": str(folder / "data"),
            "SLIPWAY_TICK_SECONDS": "0.5", "PYTHONUNBUFFERED": "1",
        }  # fmt: skip

    def start(self, name: str, *argv: str) -> Path:
        """``python -m argv``; what it writes is in the file whose path is returned."""
        path = self.folder / f"{name}.log"
        with path.open("wb") as log:
            self.started.append(
                programs.start(
                    [sys.executable, "-m", *argv], cwd=settings.BASE_DIR, env=self._env, stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )  # fmt: skip
        return path

    def end(self, seconds: float = 30) -> None:
        """SIGTERM to each; fails if one has not ended in time."""
        for process in self.started:
            process.send_signal(signal.SIGTERM)
        for process in self.started:
            process.wait(seconds)


@pytest.fixture
def processes(real_redis: RealRedis, tmp_path: Path) -> Iterator[Processes]:
    launched = Processes(tmp_path, real_redis.url)
    yield launched
    for process in launched.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
