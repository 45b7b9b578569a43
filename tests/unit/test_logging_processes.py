"""The portal, a worker and the clock as real processes: every line that they print is one JSON object."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings

from listings.models import WorkerProcess
from tests.programs import free_port
from tests.services.live_fixtures import real_redis
from tests.stack import database_url, wait_until

__all__ = ["real_redis"]
pytestmark = pytest.mark.django_db(transaction=True)
SECRET_KEY = uuid.uuid4().hex


@pytest.fixture
def launch(real_redis: Any, tmp_path: Path) -> Iterator[Any]:
    started: list[subprocess.Popen[bytes]] = []
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SLIPWAY_", "COV_"))}
    env |= {
        "DATABASE_URL": database_url(), "REDIS_URL": real_redis.url, "SLIPWAY_ENV": "demo", "SLIPWAY_JSON_LOGS": "1",
        "SLIPWAY_SECRET_KEY": SECRET_KEY, "SLIPWAY_DATA_DIR": str(tmp_path / "data"), "SLIPWAY_TICK_SECONDS": "0.5",
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip

    def start(name: str, *argv: str) -> Path:
        path = tmp_path / f"{name}.log"
        with path.open("wb") as log:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", *argv], cwd=settings.BASE_DIR, env=env, stdout=log,
                    stderr=subprocess.STDOUT, start_new_session=True,
                )
            )  # fmt: skip
        return path

    def end() -> None:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait(30)

    start.end = end  # type: ignore[attr-defined]
    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def events(path: Path) -> list[dict[str, Any]]:
    """Every line of a log; a line that is no JSON object fails the test and is shown."""
    found = []
    for line in path.read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            pytest.fail(f"{path.name}: not JSON: {line!r}")
        assert {"event", "level", "logger", "timestamp"} <= event.keys()
        found.append(event)
    return found


@pytest.mark.timeout(120)
def test_every_line_of_every_process_is_json(launch: Any) -> None:
    port = free_port()
    portal = launch("portal", "uvicorn", "portal.asgi:application", "--port", str(port))
    beat = launch("beat", "celery", "--quiet", "-A", "portal", "beat", "--pidfile", "",
                  "--schedule", str(portal.parent / "beat"))  # fmt: skip
    worker = launch("worker", "celery", "-A", "portal", "worker", "-Q", "control", "-c", "1", "-n", "control@log",
                    "--without-gossip", "--without-mingle", "--loglevel", "INFO")  # fmt: skip
    wait_until("the portal answers", lambda: "Uvicorn running" in portal.read_text(), 60)
    url = f"http://127.0.0.1:{port}"
    headers = {"X-Request-ID": "log-test-request"}
    assert requests.get(f"{url}/nowhere/?token=abc", headers=headers, timeout=20).status_code == 404
    assert requests.get(f"{url}/", headers={"Host": "evil.test"}, timeout=20).status_code == 400
    wait_until("the worker is there", WorkerProcess.objects.filter(name="control@log").exists, 60)
    wait_until("a task ran", lambda: "slipway.tick" in worker.read_text() and "succeeded" in worker.read_text(), 60)
    launch.end()
    told = {path.stem: events(path) for path in (portal, beat, worker)}
    assert all(len(lines) > 2 for lines in told.values())
    [request] = [line for line in told["portal"] if line.get("request_id") == "log-test-request"
                 and line["logger"] == "portal.access"]  # fmt: skip
    assert (request["path"], request["status"]) == ("/nowhere/", 404)
    everything = "".join(path.read_text() for path in (portal, beat, worker))
    assert "token=abc" not in everything
    assert SECRET_KEY not in everything
    assert {line["logger"] for line in told["portal"]} >= {"uvicorn.error", "portal.access"}
    assert any(line["logger"].startswith("celery") for line in told["worker"])
