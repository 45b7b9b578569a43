"""The writer of logs without a Redis: numbers, bounds, recovery."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from listings.livelog import LineKind, Record, read_records
from workers.logs import AttemptLog, FinishedLog, LogLimits, discard, leftovers, recover, spool_path

NO_REDIS = "redis://127.0.0.1:1/0"
SMALL = LogLimits(head=2_000, tail=8_000, segment=1_000)


def new_log(tmp_path: Path, **options: Any) -> AttemptLog:
    attempt_id = options.pop("attempt_id", None) or uuid4()
    return AttemptLog(attempt_id, uuid4(), "test", NO_REDIS, tmp_path, **options)


def stored(finished: FinishedLog | None) -> list[Record]:
    assert finished is not None
    with finished.open() as file:
        return list(read_records(file))


def test_lines_are_numbered_from_one_across_streams_and_sections(tmp_path: Path) -> None:
    with new_log(tmp_path) as log:
        assert log.section("train") == 1
        assert log.line("hello") == 2
        assert log.line("two\nlines", stream="err") == 3
        log.feed(b"from the ", "out")
        log.feed(b"engine\nunfinished", "out")
        assert log.line("ours", "slipway") == 6
    assert log.lines == 7
    assert [(r.number, r.kind, r.text) for r in stored(log.finish())] == [
        (1, "section", "train"),
        (2, "out", "hello"),
        (3, "err", "two"),
        (4, "err", "lines"),
        (5, "out", "from the engine"),
        (6, "slipway", "ours"),
        (7, "out", "unfinished"),
    ]
    assert log.tail(2) == [(6, "ours"), (7, "unfinished")]


def test_a_long_log_keeps_its_beginning_and_its_end_and_says_what_is_missing(tmp_path: Path) -> None:
    with new_log(tmp_path, limits=SMALL) as log:
        for number in range(1, 5001):
            assert log.line(f"line {number}") == number
        on_disk = sum(file.stat().st_size for file in log.path.iterdir())
    finished = log.finish()
    records = stored(finished)
    markers = [record for record in records if record.kind == LineKind.DROPPED]
    kept = [record for record in records if record.kind == LineKind.OUT]
    assert len(markers) == 1
    marker = markers[0]
    assert [record.number for record in kept] == [
        *range(1, marker.number),
        *range(marker.number + marker.missing, 5001),
    ]
    assert all(record.text == f"line {record.number}" for record in kept)
    assert finished.lines == 5000
    assert finished.dropped == marker.missing == 5000 - len(kept)
    head = sum(len(r.encode()) + 1 for r in kept if r.number < marker.number)
    tail = sum(len(r.encode()) + 1 for r in kept if r.number > marker.number)
    assert 1_700 <= head <= 2_000
    assert 8_000 <= tail <= 9_000
    assert on_disk <= 11_100


def test_a_flood_of_fifty_megabytes_is_cheap_in_time_memory_and_disk(tmp_path: Path) -> None:
    line = b"\x1b[32minfo\x1b[0m " + b"x" * 490 + b"\n"
    began = time.monotonic()
    tracemalloc.start()
    with new_log(tmp_path, secrets=["hunter2hunter2"]) as log:
        for _ in range(10):
            log.feed(line * 10)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        for _ in range(999):
            log.feed(line * 100)
        tracemalloc.start()
        log.feed(line * 100)
        on_disk = sum(file.stat().st_size for file in log.path.iterdir())
    tracemalloc.stop()
    assert log.lines == 100_100
    assert on_disk <= 11.2 * 1024**2
    assert time.monotonic() - began < 60
    assert before < 8 * 1024**2
    waiting = log._live._pending.size + log._live._recent.size
    assert waiting <= 2 * 1024**2


def test_a_secret_cut_by_chunks_or_by_the_clipping_edge_never_reaches_the_log(tmp_path: Path) -> None:
    secret = "S3cr3t-Value-Of-The-Team"
    with new_log(tmp_path, secrets=[secret]) as log:
        for at in range(1, len(secret)):
            log.feed(f"before {secret[:at]}".encode())
            log.feed(f"{secret[at:]} after\n".encode())
        for edge in (16 * 1024, 64 * 1024):
            log.feed(b"y" * (edge - 10) + secret.encode() + b"\n")
            log.line("z" * (edge - 10) + secret)
        directory = log.path
        written = b"".join(file.read_bytes() for file in directory.iterdir())
    finished = log.finish()
    with finished.open() as file, gzip.open(file) as text:
        packed = text.read()
    for start in range(len(secret) - 7):
        piece = secret[start : start + 8].encode()
        assert piece not in written
        assert piece not in packed
    assert packed.count(b"before *** after") == len(secret) - 1


def test_many_threads_write_without_losing_or_repeating_a_number(tmp_path: Path) -> None:
    with new_log(tmp_path) as log:

        def write(name: str) -> None:
            for count in range(300):
                log.line(f"{name} {count}")

        threads = [threading.Thread(target=write, args=(f"t{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    records = stored(log.finish())
    assert [record.number for record in records] == list(range(1, 2401))
    for name in range(8):
        own = [record.text for record in records if record.text.startswith(f"t{name} ")]
        assert own == [f"t{name} {count}" for count in range(300)]


def test_without_redis_a_step_is_not_slowed(tmp_path: Path) -> None:
    began = time.monotonic()
    with new_log(tmp_path) as log:
        for number in range(2000):
            log.line(str(number))
        writing = time.monotonic() - began
    assert writing < 2
    assert time.monotonic() - began < 6
    assert len(stored(log.finish())) == 2000


KILLED = """
import sys, time, uuid
from pathlib import Path
from workers.logs import AttemptLog
log = AttemptLog(uuid.UUID(sys.argv[1]), uuid.uuid4(), "build", "redis://127.0.0.1:1/0", Path(sys.argv[2]))
log.section("build")
n = 0
while True:
    n += 1
    log.line(f"step {n}")
    if n == 500:
        Path(sys.argv[3]).touch()
    if n > 500:
        time.sleep(0.001)
"""


def test_the_log_of_a_killed_worker_is_recovered_up_to_its_last_line(tmp_path: Path) -> None:
    attempt_id, spools, ready = uuid4(), tmp_path / "spools", tmp_path / "ready"
    root = Path(__file__).resolve().parents[2]
    worker = subprocess.Popen(
        [sys.executable, "-c", f"import django; django.setup()\n{KILLED}", str(attempt_id), str(spools), str(ready)],
        stdout=subprocess.DEVNULL,
        cwd=root,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "portal.settings"},
    )
    while worker.poll() is None and not ready.exists():
        time.sleep(0.02)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert leftovers(spools) == [attempt_id]
    path = spool_path(spools, attempt_id)
    finished = recover(path)
    records = stored(finished)
    assert len(records) >= 502
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    assert records[-1].kind == LineKind.SLIPWAY
    assert "stopped before it ended" in records[-1].text
    assert finished is not None
    assert finished.lines == len(records)
    discard(path)
    assert leftovers(spools) == []
    assert recover(path) is None


def test_a_torn_last_line_costs_only_itself(tmp_path: Path) -> None:
    attempt_id = uuid4()
    with new_log(tmp_path, attempt_id=attempt_id) as log:
        for number in range(1, 6):
            log.line(f"line {number}")
    head = log.path / "head.jsonl"
    head.write_bytes(head.read_bytes()[:-10])
    assert [r.number for r in stored(recover(log.path))] == [1, 2, 3, 4, 5]
    assert stored(recover(log.path))[-1].kind == LineKind.SLIPWAY
    with new_log(tmp_path, attempt_id=attempt_id) as again:
        assert again.line("after the tear") == 5
    assert [(r.number, r.text) for r in stored(again.finish())][-2:] == [(4, "line 4"), (5, "after the tear")]


def test_a_parked_attempt_goes_on_with_its_numbers_here_and_on_another_host(tmp_path: Path) -> None:
    attempt_id = uuid4()
    with new_log(tmp_path / "one", attempt_id=attempt_id) as log:
        log.line("first")
    with log.finish().open() as previous, new_log(tmp_path / "two", attempt_id=attempt_id, previous=previous) as there:
        assert there.line("second") == 2
    with new_log(tmp_path / "one", attempt_id=attempt_id) as here:
        assert here.line("second") == 2
    for one in (here, there):
        assert [(r.number, r.text) for r in stored(one.finish())] == [(1, "first"), (2, "second")]
    with new_log(tmp_path / "two", attempt_id=attempt_id) as there:
        assert there.line("third") == 3
    # Back on the first host, whose spool has missed what was written on the second.
    with there.finish().open() as previous, new_log(tmp_path / "one", attempt_id=attempt_id, previous=previous) as back:
        assert back.line("fourth") == 4
    assert [r.text for r in stored(back.finish())] == ["first", "second", "third", "fourth"]


def test_a_full_disk_does_not_stop_the_step_and_the_log_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_log(tmp_path) as log:
        log.line("one")
        with monkeypatch.context() as full:
            full.setattr(log._spool, "append", lambda encoded: (_ for _ in ()).throw(OSError(28, "No space left")))
            assert log.line("two") == 2
        assert log.line("three") == 3
    finished = log.finish()
    assert [(r.number, r.kind, r.missing) for r in stored(finished)] == [
        (1, "out", 0),
        (2, "dropped", 1),
        (3, "out", 0),
    ]
    assert finished.dropped == 1


def test_what_is_written_after_the_end_is_ignored(tmp_path: Path) -> None:
    with new_log(tmp_path) as log:
        log.line("last")
    assert log.line("too late") == 1
    log.feed(b"too late\n")
    assert len(stored(log.finish())) == 1


def test_the_stored_file_names_its_attempt_and_is_the_same_for_the_same_lines(tmp_path: Path) -> None:
    attempt_id = uuid4()
    with new_log(tmp_path, attempt_id=attempt_id, number=3) as log:
        log.line("x")
    first = log.finish().path.read_bytes()
    header = json.loads(gzip.decompress(first).splitlines()[0])
    assert header["attempt"] == str(attempt_id)
    assert (header["step"], header["number"], header["slipway_log"]) == ("test", 3, 1)
    assert log.finish().path.read_bytes() == first
