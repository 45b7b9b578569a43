"""Progress on the terminal: one line per piece of work, with the seconds it took."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_BEGAN = time.monotonic()
_LOCK = threading.Lock()
QUIET_SECONDS = 1.0


def say(text: str) -> None:
    """Print one line with the seconds since the verb began; safe from several threads."""
    with _LOCK:
        sys.stdout.write(f"[{time.monotonic() - _BEGAN:6.1f}s] {text}\n")
        sys.stdout.flush()


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce what takes longer than a second, and say how long it took."""
    began = time.monotonic()
    timer = threading.Timer(QUIET_SECONDS, say, [f"{title} ..."])
    timer.daemon = True
    timer.start()
    try:
        yield
    except BaseException:
        timer.cancel()
        say(f"{title}: failed after {time.monotonic() - began:.1f}s")
        raise
    timer.cancel()
    took = time.monotonic() - began
    if took >= QUIET_SECONDS:
        say(f"{title}: done in {took:.1f}s")
