"""The portal, a worker and the clock as real processes: every line that they print is one JSON object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from listings.models import WorkerProcess
from tests.processes import CONTROL_WORKER, Processes, processes, real_redis
from tests.programs import free_port
from tests.stack import wait_until

__all__ = ["processes", "real_redis"]
pytestmark = pytest.mark.django_db(transaction=True)


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
def test_every_line_of_every_process_is_json(processes: Processes) -> None:
    port = free_port()
    portal = processes.start("portal", "uvicorn", "portal.asgi:application", "--port", str(port))
    beat = processes.start("beat", "celery", "--quiet", "-A", "portal", "beat", "--pidfile", "",
                           "--schedule", str(portal.parent / "beat"))  # fmt: skip
    worker = processes.start("worker", *CONTROL_WORKER)
    wait_until("the portal answers", lambda: "Uvicorn running" in portal.read_text(), 60)
    url = f"http://127.0.0.1:{port}"
    headers = {"X-Request-ID": "log-test-request"}
    assert requests.get(f"{url}/nowhere/?token=abc", headers=headers, timeout=20).status_code == 404
    assert requests.get(f"{url}/", headers={"Host": "evil.test"}, timeout=20).status_code == 400
    wait_until("the worker is there", WorkerProcess.objects.filter(name="control@log").exists, 60)
    wait_until("a task ran", lambda: "slipway.tick" in worker.read_text() and "succeeded" in worker.read_text(), 60)
    processes.end()
    told = {path.stem: events(path) for path in (portal, beat, worker)}
    assert all(len(lines) > 2 for lines in told.values())
    [request] = [line for line in told["portal"] if line.get("request_id") == "log-test-request"
                 and line["logger"] == "portal.access"]  # fmt: skip
    assert (request["path"], request["status"]) == ("/nowhere/", 404)
    everything = "".join(path.read_text() for path in (portal, beat, worker))
    assert "token=abc" not in everything
    assert processes.secret_key not in everything
    assert {line["logger"] for line in told["portal"]} >= {"uvicorn.error", "portal.access"}
    assert any(line["logger"].startswith("celery") for line in told["worker"])
