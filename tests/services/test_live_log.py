"""Log lines in a real Redis: prompt, ordered, bounded, and unharmed by its absence."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from listings import livelog
from listings.livelog import LineKind, read_records
from tests.services.live_fixtures import RealRedis, real_redis, wait_for
from workers.logs import AttemptLog
from workers.logs.live import PENDING_BYTES, STREAM_BYTES

__all__ = ["real_redis"]


def new_log(redis_url: str, tmp_path: Path, **options: Any) -> tuple[Any, AttemptLog]:
    owner_id = uuid4()
    return owner_id, AttemptLog(uuid4(), owner_id, "test", redis_url, tmp_path, **options)


def numbers(records: list[livelog.Record]) -> list[int]:
    return [record.number for record in records if record.kind != LineKind.GAP]


def test_a_line_is_in_the_stream_while_the_log_goes_on_and_the_stream_expires(
    real_redis: RealRedis, tmp_path: Path
) -> None:
    owner_id, log = new_log(real_redis.url, tmp_path, secrets=["hunter2hunter2"])
    with log:
        for number in range(1, 6):
            log.line(f"{number} hunter2hunter2")
            wait_for(lambda wanted=number: wanted in numbers(real_redis.lines(owner_id)))
        assert 0 < real_redis.client().ttl(livelog.stream_key(owner_id)) <= livelog.STREAM_EXPIRY_SECONDS
    assert [record.text for record in real_redis.lines(owner_id)] == [f"{n} ***" for n in range(1, 6)]


def test_many_small_lines_share_few_entries_and_keep_their_order(real_redis: RealRedis, tmp_path: Path) -> None:
    owner_id, log = new_log(real_redis.url, tmp_path)
    with log:
        for number in range(3000):
            log.line(f"line {number}")
    assert numbers(real_redis.lines(owner_id)) == list(range(1, 3001))
    assert len(real_redis.entries(owner_id)) < 30


def test_a_flood_is_bounded_in_redis_and_every_line_is_shown_or_counted(real_redis: RealRedis, tmp_path: Path) -> None:
    owner_id, log = new_log(real_redis.url, tmp_path)
    with log:
        for _ in range(400):
            log.feed((b"x" * 500 + b"\n") * 100)
    size = sum(len(fields["data"]) for _, fields in real_redis.entries(owner_id))
    assert size <= STREAM_BYTES * 1.1
    records = real_redis.lines(owner_id)
    expected = records[0].number
    for record in records:
        assert record.number == expected
        expected += max(record.missing, 1)
    assert expected == 40_001
    assert any(record.kind == LineKind.GAP for record in records)


def test_redis_killed_and_back_while_a_step_writes(real_redis: RealRedis, tmp_path: Path) -> None:
    owner_id, log = new_log(real_redis.url, tmp_path)
    with log:
        for number in range(1, 101):
            log.line(f"before {number}")
        wait_for(lambda: len(real_redis.lines(owner_id)) == 100)
        real_redis.kill()
        began = time.monotonic()
        for number in range(101, 301):
            log.line(f"during {number}")
        assert time.monotonic() - began < 10  # each line would wait for its time limit
        real_redis.start()
        # It came back empty; what is still at hand is sent again, so a page opened now misses nothing.
        wait_for(lambda: numbers(real_redis.lines(owner_id)) == list(range(1, 301)))
        log.line("after")
        wait_for(lambda: real_redis.lines(owner_id)[-1].text == "after")
    with log.finish().open() as file:
        assert [record.number for record in read_records(file)] == list(range(1, 302))


def test_what_did_not_fit_while_redis_was_away_is_announced_as_a_gap(real_redis: RealRedis, tmp_path: Path) -> None:
    owner_id, log = new_log(real_redis.url, tmp_path)
    with log:
        log.line("before")
        wait_for(lambda: real_redis.lines(owner_id))
        real_redis.kill()
        for _ in range(3 * PENDING_BYTES // 1000):
            log.line("y" * 1000)
        last = log.lines
        real_redis.start()
        records = wait_for(lambda: (found := real_redis.lines(owner_id)) and found[-1].number == last and found, 20)
    assert [(record.number, record.text) for record in records[:1]] == [(1, "before")]
    gap = records[1]
    assert gap.kind == LineKind.GAP
    assert gap.number == 2
    assert numbers(records[2:]) == list(range(gap.number + gap.missing, last + 1))


def test_announcements_reach_the_stream_and_never_raise_or_wait_without_redis(real_redis: RealRedis) -> None:
    owner_id = uuid4()
    assert livelog.announce(real_redis.url, owner_id, {"kind": "step", "step": "test", "state": "failed"})
    assert livelog.publish_state(real_redis.url, owner_id, "run", {"state": "failed", "final": True})
    assert [(fields["event"], fields["data"]) for _, fields in real_redis.entries(owner_id)] == [
        ("state", '{"kind": "step", "step": "test", "state": "failed"}'),
        ("state", '{"kind": "run", "state": "failed", "final": true}'),
    ]
    assert 0 < real_redis.client().ttl(livelog.stream_key(owner_id)) <= livelog.STREAM_EXPIRY_SECONDS
    real_redis.kill()
    began = time.monotonic()
    assert not any(livelog.announce(real_redis.url, owner_id, {"kind": "run"}) for _ in range(50))
    assert time.monotonic() - began < 10
