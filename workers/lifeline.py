"""Child processes that die with their parent, whatever kills it."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, signum: int = signal.SIGKILL) -> None:
    """Ask the kernel to signal this process when the thread that forked it ends (Linux prctl(2)).

    ``parent`` is the process id of the one that forked; in a container that may well be 1.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)
    if os.getppid() != parent:
        # The parent was gone before the kernel was asked.
        os.kill(os.getpid(), signum)
