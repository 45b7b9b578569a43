"""A worker's process: Celery on one queue, under a worker host's name that no other container uses at the same time.

`worker.py control` or `worker.py engine`. What a worker leaves behind in the engine and on the disk is found again by
that name, so it must outlive the container: it is ``<WORKER_HOST_PREFIX><queue>-N`` with the lowest N whose lock file
below the data directory nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from itertools import count
from pathlib import Path


def take_name(prefix: str, data: Path) -> str:
    """Lock the first free name. The lock lasts as long as this process and those that it starts."""
    locks = data / "worker-hosts"
    locks.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        name = f"{prefix}-{number}"
        handle = os.open(locks / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        os.set_inheritable(handle, True)
        return name
    raise AssertionError("count() does not end")


def command(queue: str, name: str, slots: str) -> list[str]:
    """Celery's command line."""
    argv = ["celery", "--quiet", "-A", "portal", "worker", "-Q", queue, "-c", slots, "-n", f"{queue}@{name}"]
    return [*argv, "--prefetch-multiplier", "1", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]


def main() -> None:
    queue, data = sys.argv[1], Path(os.environ["SLIPWAY_DATA_DIR"])
    name = take_name(os.environ.get("WORKER_HOST_PREFIX", "") + queue, data)
    # Whoever worked under this name is dead: process numbers of another container say nothing about its folders.
    shutil.rmtree(data / "work" / name, ignore_errors=True)
    os.environ["SLIPWAY_WORKER_HOST"] = name
    # The clock's tick must not wait for a code host that is slow to take a report.
    slots = (os.environ.get("SLIPWAY_ENGINE_SLOTS") if queue == "engine" else "") or "2"
    argv = command(queue, name, slots)
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main()
