"""Memory that an attempt has used goes back to the host."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from workers import memory


def resident() -> int:
    """Bytes of this process in memory."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) << 10


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library than glibc")
def test_freed_blocks_below_one_in_use_are_given_back() -> None:
    held = [bytes(2000) for _ in range(50_000)]
    pin = bytes(2000)  # what lies last keeps the heap from shrinking by itself
    del held
    before = resident()
    memory.give_back()
    assert resident() < before - (60 << 20)
    assert len(pin) == 2000


def test_what_was_done_a_moment_ago_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[int] = []
    monkeypatch.setattr(memory.gc, "collect", lambda: collected.append(1))
    memory.give_back()
    memory.give_back(at_most_every=60)
    memory.give_back()
    assert len(collected) == 2


def test_a_c_library_that_cannot_be_told_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    memory.give_back()
