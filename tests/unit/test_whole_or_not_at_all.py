"""Small promises of the core that a crash, a full disk or a stubborn engine puts to the test."""

from __future__ import annotations

import multiprocessing
import os
import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from listings import blobs
from listings.problems import ProblemError
from workers.lifeline import die_with_parent
from workers.steps.contract import Stop, StopReason


@pytest.mark.django_db
def test_a_file_that_a_killed_process_left_half_written_is_replaced() -> None:
    content = b"x" * 5000
    blob = blobs.store(content)
    path = Path(django_settings.MEDIA_ROOT) / blobs.path_of(blob.sha256)
    path.write_bytes(content[:100])
    blobs.store(content)
    with blobs.open_blob(blob.sha256) as stored:
        assert stored.read() == content


@pytest.mark.django_db
def test_a_file_appears_under_its_name_only_when_it_is_whole(monkeypatch: Any) -> None:
    def full(*args: Any) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ProblemError, match="PLATFORM-DISK-FULL"):
        blobs.store(BytesIO(b"much"))
    assert [path for path in Path(django_settings.MEDIA_ROOT).rglob("*") if path.is_file()] == []


@pytest.mark.django_db
def test_many_writers_of_the_same_bytes_leave_one_whole_file() -> None:
    content = os.urandom(1 << 20)
    spools = [BytesIO(content) for _ in range(8)]
    name = "blobs/aa/one"
    writers = [threading.Thread(target=blobs._keep, args=(spool, name, len(content))) for spool in spools]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    [path] = [path for path in Path(django_settings.MEDIA_ROOT).rglob("*") if path.is_file()]
    assert path.read_bytes() == content


def test_a_callback_that_fails_keeps_no_other_from_hearing_of_the_stop() -> None:
    stop, heard = Stop(), []
    stop.on_stop(lambda: [][0])
    stop.on_stop(lambda: heard.append(stop.reason))
    stop.set(StopReason.TIMED_OUT)
    assert heard == [StopReason.TIMED_OUT]


def _child(parent: int) -> None:
    die_with_parent(parent)
    os._exit(7)


@pytest.mark.parametrize(("parent", "code"), [(os.getpid, 7), (lambda: 1, -9)], ids=["living", "gone"])
def test_a_child_lives_under_whatever_process_forked_it(parent: Any, code: int) -> None:
    child = multiprocessing.get_context("fork").Process(target=_child, args=(parent(),))
    child.start()
    child.join(20)
    assert child.exitcode == code
