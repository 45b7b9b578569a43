"""A worker whose engine, registry or disk goes away takes no work, says why, and recovers by itself."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from pydantic import SecretStr

from listings.models import Attempt, Instance, WorkerProcess
from listings.services import planning, versions
from tests.engine.doors import Door
from tests.registry_fixtures import Registry
from tests.stack import wait_until
from workers import conditions, execution, presence, reaper, tally
from workers.engine import Engine, attempt_labels

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "engine@presence-test"
ENGINE_SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


@pytest.fixture
def engine_door(monkeypatch: Any) -> Iterator[Door]:
    door = Door(ENGINE_SOCKET, unix=True)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{door.path}")
    yield door
    door.close()


@pytest.fixture
def registry_door(registry: Registry, configure: Any) -> Iterator[Door]:
    host, _, port = registry.host.partition(":")
    door = Door((host, int(port)), unix=False)
    configure(
        staging_registry_worker=f"127.0.0.1:{door.port}", staging_username=registry.username,
        staging_password=SecretStr(registry.password),
    )  # fmt: skip
    yield door
    door.close()


@pytest.fixture
def worker(engine_door: Door, registry_door: Door, monkeypatch: Any) -> Iterator[presence.Presence]:
    monkeypatch.setattr(presence, "SIGN_SECONDS", 0.1)
    monkeypatch.setattr(presence, "ASK_SECONDS", 0.5)
    running = presence.Presence(NAME, "engine", 2)
    running.start()
    yield running
    running.leave()
    for thread in running.threads:
        thread.join(timeout=90)
        assert not thread.is_alive()


def row() -> WorkerProcess | None:
    return WorkerProcess.objects.filter(name=NAME).first()


def slots(count: int) -> Any:
    def asked() -> bool:
        found = row()
        return found is not None and found.slots == count

    return asked


def codes() -> list[str]:
    found = row()
    return [problem["code"] for problem in found.detail["problems"]] if found else []


def test_an_engine_that_goes_away_takes_the_slots_with_it_and_gives_them_back(
    worker: presence.Presence, engine_door: Door, seller: Any, draft: Any, caplog: Any
) -> None:
    wait_until("the worker is ready", slots(2))
    seen = row()
    assert seen is not None
    assert seen.detail["engine"]
    assert seen.detail["build_limits"]["proven"]
    assert seen.detail["tools"]["skopeo"]
    assert seen.detail["disk"]["free_bytes"] > 0

    caplog.clear()
    engine_door.shut()
    wait_until("the slots are gone", slots(0), 30)
    assert codes() == ["ENGINE-UNREACHABLE"]
    run = versions.submit_version(seller, draft)
    [attempt] = Attempt.objects.filter(step__run=run)
    place = planning.place_of(attempt)
    assert place is not None
    assert "is not ready: the Docker Engine does not answer" in place.why
    assert attempt.hinted_at is None
    signed = seen.seen_at
    wait_until("it still gives signs of life", lambda: (row() or seen).seen_at > signed)
    # Said once, without a traceback, however long it lasts.
    told = [record for record in caplog.records if record.name.startswith("workers.")]
    assert [record.levelname for record in told] == ["WARNING"]
    assert not any(record.exc_info for record in told)

    engine_door.open()
    wait_until("the slots are back", slots(2), 30)
    assert codes() == []
    wait_until("what waited is hinted at", lambda: Attempt.objects.get(pk=attempt.pk).hinted_at is not None, 10)


def test_an_engine_that_hangs_does_not_stop_the_signs_of_life(
    worker: presence.Presence, engine_door: Door, monkeypatch: Any
) -> None:
    monkeypatch.setattr(presence.readiness, "PING_SECONDS", 1)
    monkeypatch.setattr(presence.readiness, "PREPARED_SECONDS", 2)
    wait_until("the worker is ready", slots(2))
    engine_door.shut()
    engine_door.stuck = True
    engine_door.open()
    wait_until("the slots are gone", slots(0), 30)
    at = timezone.now()
    # The reaper may be inside a call to the engine that lasts a minute.
    wait_until("it is seen", lambda: (found := row()) is not None and found.seen_at > at, 5)
    assert codes() == ["ENGINE-UNREACHABLE"]


def test_spools_are_reaped_while_the_engine_is_away(
    worker: presence.Presence, engine_door: Door, monkeypatch: Any
) -> None:
    wait_until("the worker is ready", slots(2))
    engine_door.shut()
    wait_until("the slots are gone", slots(0), 30)
    rounds = []
    monkeypatch.setattr(reaper, "_reap_spools", lambda: rounds.append(1) or 0)
    worker._reaped_at = float("-inf")
    wait_until("a round without the engine", lambda: rounds, 10)


def test_a_registry_that_goes_away_or_refuses_us_is_named(
    worker: presence.Presence, registry_door: Door, configure: Any
) -> None:
    wait_until("the worker is ready", slots(2))
    registry_door.shut()
    wait_until("the slots are gone", slots(0), 30)
    assert codes() == ["STAGING-UNREACHABLE"]
    registry_door.open()
    wait_until("the slots are back", slots(2), 30)
    configure(staging_password=SecretStr("another"))
    wait_until("the slots are gone again", slots(0), 30)
    assert codes() == ["STAGING-SIGN-IN"]
    found = row()
    assert found is not None
    assert "another" not in str(found.detail)


def test_a_disk_below_its_floor_takes_no_work(worker: presence.Presence, configure: Any) -> None:
    wait_until("the worker is ready", slots(2))
    configure(disk_floor_mb=10**9)
    wait_until("the slots are gone", slots(0), 30)
    assert codes() == ["HOST-DISK-LOW"]
    configure(disk_floor_mb=1)
    wait_until("the slots are back", slots(2), 30)


def test_a_signature_that_is_being_written_does_not_outlive_the_worker(
    worker: presence.Presence, monkeypatch: Any
) -> None:
    wait_until("the worker is ready", slots(2))
    inside, go_on = threading.Event(), threading.Event()
    write = WorkerProcess.objects.update_or_create

    def slow(*args: Any, **kwargs: Any) -> Any:
        inside.set()
        assert go_on.wait(20)
        return write(*args, **kwargs)

    monkeypatch.setattr(WorkerProcess.objects, "update_or_create", slow)
    assert inside.wait(20)
    leaving = threading.Thread(target=worker.leave)
    leaving.start()
    leaving.join(0.5)
    assert leaving.is_alive()
    go_on.set()
    leaving.join(20)
    for thread in worker.threads:
        thread.join(60)
    assert row() is None


def test_a_missing_program_is_named(monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", "")
    missing, wished, found = conditions.tools()
    assert [problem.params["tool"] for problem in missing] == ["skopeo"]
    assert [problem.params["tool"] for problem in wished] == ["git"]
    assert found == {}


def test_what_was_reaped_is_counted_on_after_a_restart() -> None:
    before = tally.read()
    tally.add({"container": 2, "log": 1})
    tally.add({"container": 1})
    assert tally.read()["container"] == before.get("container", 0) + 3
    assert tally.read()["log"] == before.get("log", 0) + 1


def test_what_a_dead_attempt_left_is_removed_and_counted_by_kind(engine: Engine) -> None:
    instance = str(Instance.current_id())
    labels = attempt_labels(instance, settings.SLIPWAY.worker_host, uuid.uuid4())
    engine.run_container("slipway.local/busybox:1", labels=labels, command=["sleep", "600"])
    engine.create_volume(labels=labels)
    folder = execution.work_dir() / "4194399-gone"
    folder.mkdir(parents=True)
    before = tally.read()
    assert reaper.reap() == {"container": 1, "volume": 1, "folder": 1}
    assert engine.owned(instance) == []
    assert tally.read()["volume"] == before.get("volume", 0) + 1
    assert reaper.reap() == {}
