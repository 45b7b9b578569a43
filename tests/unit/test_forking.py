"""A fork waits for threads that are in the middle of the database."""

from __future__ import annotations

import gc
import os
import sqlite3
import threading
from pathlib import Path

from workers.forking import no_fork


def _can_write(path: Path) -> bool:
    connection = sqlite3.connect(path, timeout=2)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
    except sqlite3.OperationalError:
        return False
    return True


def test_a_forked_process_is_not_locked_out_by_a_transaction_that_it_does_not_have(tmp_path: Path) -> None:
    path, began, done = tmp_path / "db.sqlite3", threading.Event(), threading.Event()

    def write() -> None:
        with no_fork():
            connection = sqlite3.connect(path, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            began.set()
            done.wait(0.5)
            connection.execute("COMMIT")

    thread = threading.Thread(target=write)
    thread.start()
    assert began.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(0 if _can_write(path) else 1)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_forked_process_forks_and_writes_as_before(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with no_fork():
            os._exit(0 if _can_write(tmp_path / "db.sqlite3") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_forked_process_leaves_what_it_shares_to_the_collector_of_its_parent() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, str(gc.get_freeze_count()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(reader, 20)) > 1000
    assert gc.get_freeze_count() == 0
    os.close(reader)
    os.close(writer)
