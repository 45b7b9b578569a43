"""Services that set-up starts: found again, stopped whole, and never confused with someone else's."""

import json
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from bootstrap import ports, processes, redis, registry
from bootstrap.errors import SetupError
from bootstrap.home import Home
from bootstrap.processes import Program

PARENT_OF_A_SLEEPER = """
import pathlib, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""


@pytest.fixture
def home(tmp_path: Path):
    home = Home(tmp_path)
    yield home
    for record in (tmp_path / "run").glob("*.json"):
        processes.stop(home, record.stem, 3)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def family(home: Home) -> tuple[Program, Path]:
    noted = home.var / "child"
    argv = [sys.executable, "-c", PARENT_OF_A_SLEEPER, str(noted)]
    return Program("family", argv, ready=lambda: noted.exists() and noted.read_text() != "", ready_seconds=20), noted


def test_stopping_a_service_ends_its_children_too(home: Home) -> None:
    program, noted = family(home)
    assert processes.start(home, program)
    parent, child = processes.running_pid(home, "family"), int(noted.read_text())
    assert is_alive(parent)
    assert is_alive(child)
    assert processes.stop(home, "family", 5)
    until = time.monotonic() + 5
    while time.monotonic() < until and (is_alive(parent) or is_alive(child)):
        time.sleep(0.05)
    assert not is_alive(parent)
    assert not is_alive(child)
    assert not processes.stop(home, "family", 5)


def test_starting_a_running_service_again_leaves_it_alone(home: Home) -> None:
    program, _ = family(home)
    processes.start(home, program)
    pid = processes.running_pid(home, "family")
    assert not processes.start(home, program)
    assert processes.running_pid(home, "family") == pid


def test_a_process_that_inherited_the_number_is_not_ours(home: Home) -> None:
    record = {"pid": os.getpid(), "birth": "1", "argv": ["redis-server"]}
    processes.pid_path(home, "redis").write_text(json.dumps(record))
    assert processes.running_pid(home, "redis") == 0
    assert not processes.stop(home, "redis", 1)


def test_a_service_that_ends_at_once_is_reported_with_its_log(home: Home) -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('no such flag: --blue')"]
    with pytest.raises(SetupError, match="ended with code 1") as caught:
        processes.start(home, Program("broken", argv, ready=lambda: False))
    assert "no such flag: --blue" in str(caught.value)


def test_a_service_that_never_gets_ready_is_stopped(home: Home) -> None:
    argv = ["sleep", "600"]
    with pytest.raises(SetupError, match="was not ready after"):
        processes.start(home, Program("slow", argv, ready=lambda: False, ready_seconds=0.3))
    assert processes.running_pid(home, "slow") == 0


def test_a_port_is_remembered_while_it_is_free(home: Home) -> None:
    first = ports.pick(home, "portal")
    assert ports.pick(home, "portal") == first
    assert ports.remembered(home, "portal") == first
    with socket.create_server((ports.LOOPBACK, first)):
        assert ports.pick(home, "portal") != first


def test_two_services_never_share_a_port(home: Home) -> None:
    first = ports.pick(home, "portal")
    assert ports.pick(home, "redis", wanted=first) != first


def test_the_embedded_redis_wants_its_password(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    url = redis.ensure(home)
    assert redis.answers(url)
    assert not redis.answers(url.replace(home.secret("redis"), "wrong"))
    assert not redis.answers(url.replace(f":{home.secret('redis')}@", ""))
    assert redis.ensure(home) == url
    assert (home.var / "redis" / "redis.conf").stat().st_mode & 0o777 == 0o600


def test_a_redis_url_that_does_not_answer_is_named_without_its_password(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")
    with pytest.raises(SetupError, match=r"REDIS_URL.*127\.0\.0\.1:1") as caught:
        redis.ensure(home)
    assert "hunter2" not in str(caught.value)


def test_a_given_registry_that_refuses_the_password_stops_set_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_STAGING_REGISTRY_ENGINE", "127.0.0.1:1")
    monkeypatch.delenv("SLIPWAY_STAGING_REGISTRY_WORKER", raising=False)
    with pytest.raises(SetupError, match=r"127\.0\.0\.1:1 does not answer"):
        registry.ensure(home, "")


def test_a_registry_in_another_place_is_asked_by_tls() -> None:
    assert registry.Registry("r.example:5000", "r.example:5000", "u", "p").url == "https://r.example:5000"
    assert registry.Registry("127.0.0.1:5000", "127.0.0.1:5000", "u", "p").url == "http://127.0.0.1:5000"
