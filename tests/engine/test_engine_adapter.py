"""The adapter over the Docker Engine: what is ours is found and removed, and nothing else."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest
from docker.auth import get_config_header

from tests.engine.build_fixtures import BASE
from workers import spans
from workers.engine import Engine, attempt_labels, connect


def test_everything_of_an_attempt_is_found_and_removed_and_a_neighbours_stays(engine: Engine, instance: str) -> None:
    mine, other = attempt_labels(instance, "host-a", "one"), attempt_labels(instance, "host-b", "two")
    container = engine.run_container(BASE, labels=mine, command=["sleep", "60"])
    joined = engine.client.containers.create(BASE, ["true"], network_mode=f"container:{container.id}")
    engine.create_volume(labels=mine)
    engine.create_network(f"{instance}-net", labels=mine)
    kept = engine.create_volume(labels=other)
    found = engine.owned(instance, "host-a")
    assert [(thing.kind, thing.attempt) for thing in found] == [
        ("container", "one"), ("container", "one"), ("volume", "one"), ("network", "one"),
    ]  # fmt: skip
    assert [thing.id for thing in found[:2]] == [joined.id, container.id]
    assert engine.remove_attempt(instance, "one") == 4
    assert [thing.name for thing in engine.owned(instance)] == [kept.name]


def test_nothing_is_made_without_the_labels_that_find_it(engine: Engine) -> None:
    with pytest.raises(ValueError, match=r"slipway\.instance"):
        engine.create_container(BASE, labels={"slipway.host": "a", "slipway.attempt": "b"})


def test_a_container_that_cannot_start_leaves_nothing(engine: Engine, instance: str) -> None:
    with pytest.raises(Exception, match="no-such-program"):
        engine.run_container(BASE, labels=attempt_labels(instance, "h", "a"), command=["no-such-program"])
    assert engine.owned(instance) == []


def test_a_container_is_asked_to_stop_and_killed_after_the_grace(engine: Engine, instance: str) -> None:
    labels = attempt_labels(instance, "h", "a")
    polite = engine.run_container(BASE, labels=labels, command=["sh", "-c", "trap 'exit 9' TERM; sleep 60 & wait"])
    deaf = engine.run_container(BASE, labels=labels, command=["sh", "-c", "trap '' TERM; sleep 60"])
    time.sleep(0.5)
    engine.stop_container(str(polite.id), 10)
    assert polite.wait()["StatusCode"] == 9
    started = time.monotonic()
    engine.stop_container(str(deaf.id), 1)
    assert deaf.wait()["StatusCode"] == 137
    assert time.monotonic() - started < 10
    engine.stop_container(str(deaf.id))
    engine.kill_container(str(deaf.id))
    engine.remove_container(str(deaf.id))
    engine.stop_container(str(deaf.id))


def test_a_file_is_read_up_to_the_limit_and_a_missing_one_is_none(engine: Engine, instance: str) -> None:
    container = engine.run_container(
        BASE, labels=attempt_labels(instance, "h", "a"), command=["sh", "-c", "echo 0123456789 > /f; sleep 60"]
    )
    assert engine.execute(str(container.id), ["sh", "-c", "sleep 0.3; cat /f; echo e >&2; exit 4"]).exit_code == 4
    assert engine.get_file(container, "/f", 4) == b"0123"
    assert engine.get_file(container, "/none", 4) is None
    assert engine.get_file(container, "/tmp", 4) is None


def test_the_output_of_a_quick_command_is_never_lost(engine: Engine, instance: str) -> None:
    container = engine.run_container(BASE, labels=attempt_labels(instance, "h", "a"), command=["sleep", "60"])
    assert {engine.execute(str(container.id), ["echo", "here"]).output for _ in range(20)} == {"here\n"}


def test_a_command_counts_as_the_containers_time(engine: Engine, instance: str) -> None:
    container = engine.run_container(BASE, labels=attempt_labels(instance, "h", "a"), command=["sleep", "60"])
    with spans.record() as recorder:
        engine.execute(str(container.id), ["sleep", "0.5"])
    (ours,) = [span for span in recorder.merged() if span.kind == "container"]
    assert ours.end - ours.start > 0.4


def test_the_operators_sign_ins_are_never_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auths": {"registry.example": {"auth": "dXNlcjpwYXNz"}}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    adapter = connect()
    headers: dict[str, str] = {}
    adapter.api._set_auth_headers(headers)
    adapter.close()
    sent = [headers["X-Registry-Config"], get_config_header(adapter.api, "registry.example") or ""]
    assert not any(secret in base64.b64decode(text) for text in sent for secret in (b"registry.example", b"pass"))
