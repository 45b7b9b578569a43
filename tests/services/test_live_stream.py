"""Server-Sent Events under a real uvicorn and a real Redis."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core import signing

from listings import livelog
from portal import live, livehub
from tests import programs
from tests.services.live_fixtures import (
    LiveServer,
    RealRedis,
    Stream,
    real_redis,
    stream_server,
    wait_for,
)
from workers.logs import AttemptLog

__all__ = ["stream_server", "real_redis"]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def new_log(server: RealRedis, owner_id: UUID, tmp_path: Path) -> AttemptLog:
    return AttemptLog(uuid4(), owner_id, "test", server.url, tmp_path)


def test_lines_and_changes_of_state_come_in_order_as_they_are_made(
    stream_server: LiveServer, real_redis: RealRedis, tmp_path: Path
) -> None:
    owner_id = uuid4()
    with new_log(real_redis, owner_id, tmp_path) as log:
        log.line("written before the page was opened")
        stream = Stream(stream_server, owner_id)
        assert stream.status == 200
        assert stream.response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
        assert stream.response.getheader("X-Accel-Buffering") == "no"
        assert "no-cache" in str(stream.response.getheader("Cache-Control"))
        assert stream.event() == ("status", {"live": True})
        assert stream.until("log")["lines"][0][3] == "written before the page was opened"
        for number in range(5):
            log.line(f"live {number}")
            data = stream.until("log")
            assert (data["step"], data["number"], data["lines"][0][3]) == ("test", 1, f"live {number}")
        livelog.announce(real_redis.url, owner_id, {"kind": "step", "state": "failed"})
        assert stream.until("state") == {"kind": "step", "state": "failed"}
    stream.close()


def test_a_reconnecting_page_gets_each_line_exactly_once(
    stream_server: LiveServer, real_redis: RealRedis, tmp_path: Path
) -> None:
    owner_id = uuid4()
    seen: list[int] = []
    last = ""
    with new_log(real_redis, owner_id, tmp_path) as log:
        for turn in range(6):
            for _ in range(20):
                log.line(f"turn {turn}")
                time.sleep(0.005)
            # Half of the pages come back as browsers do, half with a fresh address.
            stream = Stream(stream_server, owner_id, **{"header" if turn % 2 else "after": last})
            for _ in range(20):
                log.line(f"turn {turn} live")
                time.sleep(0.005)
            seen += stream.numbers(upto=(turn + 1) * 40)
            last = stream.last_id
            stream.close()
    assert seen == list(range(1, 241))


@pytest.mark.parametrize("ticket", ["", "nonsense", "foreign", "expired", "forged"])
def test_a_ticket_that_is_not_for_this_page_now_opens_nothing(
    stream_server: LiveServer, ticket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner_id = uuid4()
    if ticket == "foreign":
        ticket = livelog.issue_ticket(uuid4(), 1)
    elif ticket == "forged":
        ticket = signing.dumps([str(owner_id), "1"], salt="another", key="another key")
    elif ticket == "expired":
        ticket = livelog.issue_ticket(owner_id, 1)
        monkeypatch.setattr(livelog, "TICKET_SECONDS", -1)
    stream = Stream(stream_server, owner_id, ticket=ticket)
    assert stream.status == 403
    assert stream.response.getheader("Content-Type") == "application/json"
    assert json.loads(stream.response.read())["error"].startswith("ticket_")
    assert live.metrics.refused == 1


def test_other_methods_and_addresses_are_refused_as_json(stream_server: LiveServer) -> None:
    for method, path, status in [
        ("POST", f"/live/{uuid4()}?ticket=x", 405),
        ("HEAD", f"/live/{uuid4()}", 405),
        ("GET", "/live/", 404),
        ("GET", "/live/not-a-uuid", 404),
        ("GET", f"/live/{uuid4()}/more", 404),
    ]:
        connection = http.client.HTTPConnection("127.0.0.1", stream_server.port, timeout=5)
        connection.request(method, path)
        response = connection.getresponse()
        assert (response.status, response.getheader("Content-Type")) == (status, "application/json"), (method, path)
        connection.close()


def test_a_stream_ends_when_its_run_has_ended_and_all_is_sent(
    stream_server: LiveServer, real_redis: RealRedis, tmp_path: Path
) -> None:
    owner_id = uuid4()
    with new_log(real_redis, owner_id, tmp_path) as log:
        stream = Stream(stream_server, owner_id)
        for _ in range(500):
            log.line("x")
    stream_server.final.add(owner_id)
    livelog.announce(real_redis.url, owner_id, {"kind": "run", "state": "passed", "final": True})
    assert stream.numbers(upto=500) == list(range(1, 501))
    assert stream.event()[0] == "state"
    assert stream.event() == ("end", {})
    assert stream.event() == ("closed", {})
    late = Stream(stream_server, owner_id)
    late.until("end")
    wait_for(lambda: live.metrics.viewers == 0)


def test_a_page_hears_that_redis_is_away_and_back_and_catches_up(
    stream_server: LiveServer, real_redis: RealRedis, tmp_path: Path
) -> None:
    owner_id = uuid4()
    with new_log(real_redis, owner_id, tmp_path) as log:
        stream = Stream(stream_server, owner_id)
        assert stream.event() == ("status", {"live": True})
        log.line("before")
        assert stream.numbers(upto=1) == [1]
        real_redis.kill()
        assert stream.until("status") == {"live": False}
        log.line("during")
        real_redis.start()
        assert stream.until("status") == {"live": True}
        assert stream.until("resync") == {"reason": "returned"}
        log.line("after")
        found = stream.numbers(upto=3)
        assert sorted(set(found)) in ([1, 2, 3], [2, 3])
    stream.close()


def test_a_place_that_was_trimmed_away_is_told_to_resync(stream_server: LiveServer, real_redis: RealRedis) -> None:
    owner_id = uuid4()
    for number in range(20):
        livelog.announce(real_redis.url, owner_id, {"n": number})
    old = real_redis.entries(owner_id)[3][0]
    known = Stream(stream_server, owner_id, after=old)
    assert [known.event()[0] for _ in range(2)] == ["status", "state"]
    real_redis.client().xtrim(livelog.stream_key(owner_id), maxlen=5, approximate=False)
    lost = Stream(stream_server, owner_id, after=old)
    assert [lost.event() for _ in range(3)] == [
        ("status", {"live": True}),
        ("resync", {"reason": "trimmed"}),
        ("state", {"n": 15}),
    ]
    known.close()
    lost.close()


def test_a_slow_viewer_costs_bounded_memory_and_still_gets_everything(
    stream_server: LiveServer, real_redis: RealRedis
) -> None:
    owner_id = uuid4()
    slow = Stream(stream_server, owner_id)
    quick = Stream(stream_server, owner_id)
    pipe = real_redis.client().pipeline()
    for number in range(160):
        livelog.add_entry(pipe, owner_id, livelog.EventName.STATE, json.dumps({"n": number, "pad": "x" * 50_000}))
        if number % 20 == 19:
            pipe.execute()
            assert live._hub is not None
            channel = live._hub._channels[owner_id]
            assert all(viewer.size <= livehub.QUEUE_BYTES for viewer in channel.viewers)
    for stream in (quick, slow):
        assert [stream.until("state")["n"] for _ in range(160)] == list(range(160))
        stream.close()


def test_fifty_pages_share_one_reader(stream_server: LiveServer, real_redis: RealRedis, tmp_path: Path) -> None:
    owner_id = uuid4()
    with new_log(real_redis, owner_id, tmp_path) as log:
        log.line("first")
        streams = [Stream(stream_server, owner_id) for _ in range(50)]
        for stream in streams:
            assert stream.numbers(upto=1) == [1]
        assert live.metrics.viewers == 50
        before = real_redis.client().info("commandstats")["cmdstat_xread"]["calls"]
        began = time.monotonic()
        log.line("second")
        for stream in streams:
            assert stream.numbers(upto=2) == [2]
        took = time.monotonic() - began
        reads = real_redis.client().info("commandstats")["cmdstat_xread"]["calls"] - before
    assert took < 1.5
    assert reads < 20
    for stream in streams:
        stream.close()
    wait_for(lambda: live.metrics.viewers == 0)


def test_a_quiet_stream_has_heartbeats_and_is_renewed(
    stream_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.5)
    monkeypatch.setattr(live, "LIFE_SECONDS", 4.0)
    stream = Stream(stream_server, uuid4())
    lines: list[bytes] = []
    while line := stream.response.readline():
        lines.append(line)
    assert lines.count(b": still here\n") >= 2
    assert b"event: renew\n" in lines


def test_more_viewers_than_a_process_serves_are_sent_away(
    stream_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_VIEWERS", 1)
    first = Stream(stream_server, uuid4())
    first.until("status")
    assert Stream(stream_server, uuid4()).status == 503
    first.close()


@pytest.mark.django_db(transaction=True)
def test_whether_work_has_ended_is_asked_of_the_database() -> None:
    assert live._is_final(uuid4())


def test_the_portal_stops_at_once_while_pages_follow(real_redis: RealRedis, tmp_path: Path, settings: Any) -> None:
    port = programs.free_port()
    root = Path(__file__).resolve().parents[2]
    secret = "a secret for this test that is long enough to sign with 0123456789"
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "SLIPWAY_ENV": "test",
        "SLIPWAY_SECRET_KEY": secret,
        "REDIS_URL": real_redis.url,
        "DATABASE_URL": f"sqlite:///{tmp_path}/empty.sqlite3",
    }
    command = [sys.executable, "-m", "uvicorn", "portal.asgi:application", "--port", str(port)]
    process = programs.start(command, cwd=root, env=environment)
    try:
        wait_for(lambda: listens(port), 30)
        settings.SECRET_KEY = secret

        class Portal:
            pass

        portal = Portal()
        portal.port = port  # type: ignore[attr-defined]
        stream = Stream(portal, uuid4())  # type: ignore[arg-type]
        assert stream.event() == ("status", {"live": True})
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        stream.until("renew")
        process.wait(10)
        assert time.monotonic() - began < 5
    finally:
        process.kill()
        process.wait()
