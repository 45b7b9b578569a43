"""Programs that tests start beside themselves: each dies with the process that started it, however that one ends."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

#: Linux means the thread that started a program, not its process: so this one starts them all, and never ends.
_starter = ThreadPoolExecutor(1, "starts-programs")


def start(argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start ``argv`` in a session of its own; ``options`` as ``subprocess.Popen`` takes them.

    A test run that is killed tears nothing down. What it left would hold its database, its ports and its memory.
    """
    # prctl(2), PR_SET_PDEATHSIG. It survives the exec, so the pid is that of the program.
    bound = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    return _starter.submit(subprocess.Popen, [*bound, *argv], start_new_session=True, **options).result()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
