"""The programs that tests start must not outlive them: one of a killed run would hold the next one's database."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests import programs

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import time
from tests import programs
print(programs.start(["sleep", "600"]).pid, flush=True)
time.sleep(600)
"""


def test_a_killed_test_run_takes_the_programs_that_it_started_with_it() -> None:
    with subprocess.Popen([sys.executable, "-c", RUN], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        started = int(run.stdout.readline())
        assert _runs(started)
        run.kill()
    until = time.monotonic() + 10
    while _runs(started) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _runs(started)


def test_a_program_outlives_the_thread_that_asked_for_it() -> None:
    started: list[subprocess.Popen[bytes]] = []

    def ask() -> None:
        started.append(programs.start(["sleep", "600"]))
        time.sleep(0.5)  # until the program is bound to whatever it is bound to

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    with pytest.raises(subprocess.TimeoutExpired):
        started[0].wait(0.3)
    started[0].kill()
    started[0].wait()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
