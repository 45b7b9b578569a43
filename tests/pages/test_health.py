"""What machines ask: alive, ready, and why not; nothing that hangs may hang the answer, nothing inner may leak."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from listings.models import WorkerProcess
from listings.services import dependencies
from tests.programs import free_port
from tests.services.live_fixtures import RealRedis, real_redis

__all__ = ["real_redis"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: Any) -> None:
    """No answer of another test."""
    monkeypatch.setattr(dependencies, "FRESH_SECONDS", 0.0)


@pytest.fixture
def redis_up(real_redis: RealRedis, configure: Any) -> RealRedis:
    configure(redis_url=real_redis.url)
    return real_redis


@pytest.fixture
def configure(settings: Any) -> Any:
    def change(**values: Any) -> None:
        settings.SLIPWAY = settings.SLIPWAY.model_copy(update=values)

    return change


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def ready(client: Client | None = None) -> tuple[int, dict[str, Any], float]:
    began = time.monotonic()
    answer = (client or Client()).get("/readyz")
    assert "no-store" in answer["Cache-Control"]
    return answer.status_code, answer.json(), time.monotonic() - began


def reasons(body: dict[str, Any]) -> dict[str, str]:
    return {name: found["reason"] for name, found in body["dependencies"].items()}


def test_alive_needs_nothing(configure: Any) -> None:
    configure(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_ready_when_all_answer(redis_up: RealRedis) -> None:
    status, body, _ = ready()
    assert status == 200
    assert body["ready"] is True
    assert reasons(body) == {"database": "", "broker": "", "storage": ""}
    assert all(found["ms"] >= 0 for found in body["dependencies"].values())


def test_a_broker_that_is_down_is_named_and_comes_back(redis_up: RealRedis) -> None:
    redis_up.kill()
    status, body, _ = ready()
    assert status == 503
    assert reasons(body) == {"database": "", "broker": "BROKER-UNREACHABLE", "storage": ""}
    redis_up.start()
    assert ready()[0] == 200


def test_a_broker_that_hangs_costs_less_than_three_seconds(black_hole: int, configure: Any) -> None:
    configure(redis_url=f"redis://127.0.0.1:{black_hole}/0")
    status, body, seconds = ready()
    assert status == 503
    assert not body["dependencies"]["broker"]["ok"]
    assert seconds < 3


def test_a_dependency_that_never_answers_is_slow_and_takes_one_thread(redis_up: RealRedis, monkeypatch: Any) -> None:
    release, asked = threading.Event(), []

    def hang() -> dependencies.Answer:
        asked.append(1)
        release.wait(30)
        return dependencies.Answer()

    monkeypatch.setitem(dependencies._PROBES, "storage", dependencies._Probe(hang))
    try:
        for _ in range(3):
            answers = dependencies.ask_all(0.3)
            assert answers["storage"].code == "DEPENDENCY-SLOW"
            assert answers["database"].ok
        assert asked == [1]
    finally:
        release.set()


def test_a_migration_that_is_missing_is_named(redis_up: RealRedis) -> None:
    rows = MigrationRecorder.Migration.objects.filter(app="listings").order_by("-id")
    [last] = rows[:1]
    last.delete()
    try:
        status, body, _ = ready()
    finally:
        last.save(force_insert=True)
    assert status == 503
    assert reasons(body)["database"] == "DATABASE-MIGRATIONS"
    assert ready()[0] == 200


def test_storage_without_room_or_that_cannot_be_written_is_named(
    redis_up: RealRedis, configure: Any, settings: Any, tmp_path: Path
) -> None:
    configure(disk_floor_mb=10**9)
    assert reasons(ready()[1])["storage"] == "STORAGE-LOW"
    configure(disk_floor_mb=1)
    (tmp_path / "file").write_text("in the way")
    settings.MEDIA_ROOT = tmp_path / "file" / "storage"
    status, body, _ = ready()
    assert status == 503
    assert reasons(body)["storage"] == "STORAGE-UNWRITABLE"


def test_what_workers_said_is_told_without_names_and_decides_nothing(redis_up: RealRedis, seller: Any) -> None:
    detail = {"problems": [{"code": "STAGING-UNREACHABLE", "params": {"registry": "inner.example:5000"}}]}
    WorkerProcess.objects.create(
        name="engine@inner-host", queue="engine", host="inner-host", boot=uuid.uuid4(), slots=0,
        seen_at=timezone.now(), detail=detail,
    )  # fmt: skip
    status, body, _ = ready()
    assert status == 200
    assert body["workers"]["engine"] == {"alive": 1, "ready": 0, "slots": 0, "reasons": ["STAGING-UNREACHABLE"]}
    assert body["workers"]["control"]["alive"] == 0
    assert "inner" not in str(body)


def test_a_failing_dependency_leaks_no_address(configure: Any) -> None:
    port = free_port()
    configure(redis_url=f"redis://someone:secret-word@127.0.0.1:{port}/0")
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert "secret-word" not in answer.content.decode()
    assert str(port) not in answer.content.decode()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_they_are_only_read(path: str) -> None:
    assert Client().post(path).status_code == 405
