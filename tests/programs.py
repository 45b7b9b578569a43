"""Programs that tests start beside themselves: each dies with the process that started it, however that one ends."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Sequence
from typing import Any


def start(argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start ``argv`` in a session of its own; ``options`` as ``subprocess.Popen`` takes them.

    A test run that is killed tears nothing down. What it left would hold its database, its ports and its memory.
    """
    # Linux' own means (prctl(2), PR_SET_PDEATHSIG). It survives the exec, so the pid is that of the program.
    bound = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    return subprocess.Popen([*bound, *argv], start_new_session=True, **options)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
