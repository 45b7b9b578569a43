"""What the holder can see of its namespace and of the volume it shares with the container under test."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
import time
from pathlib import Path
from typing import Any

LISTEN = "0A"
#: A container may open all 65,535; these many are told, those that matter first.
MAX_LISTENING = 200
FIRST_PORT = 8080
#: However slow the disk: an answer must come before the worker gives up.
MEASURE_SECONDS = 15.0


def interfaces() -> list[str]:
    return sorted(name for _, name in socket.if_nameindex())


def listening(root: str = "/proc/net") -> list[dict[str, Any]]:
    """Every listening TCP socket of the namespace as {"address", "port"}."""
    found: dict[tuple[str, int], None] = {}
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(root, name).read_text(encoding="ascii").splitlines()[1:]
        except FileNotFoundError:
            continue  # a kernel without IPv6
        for line in lines:
            fields = line.split()
            if fields[3] == LISTEN:
                address, _, port = fields[1].partition(":")
                found[(_address(address), int(port, 16))] = None
    first = sorted(found, key=lambda place: (place[1] != FIRST_PORT, place[1], place[0]))[:MAX_LISTENING]
    return [{"address": address, "port": port} for address, port in first]


def _address(text: str) -> str:
    raw = b"".join(struct.pack("=I", int(text[i : i + 8], 16)) for i in range(0, len(text), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def measure(path: str, max_bytes: int, max_entries: int) -> dict[str, Any]:
    """Bytes on disk and entries below ``path``, the walk ending as soon as either limit is passed, or its time.

    A file with several names counts once. ``missed``: a directory was gone when it was to be looked into. ``too_deep``:
    a directory lies beyond what a path can name. ``free_bytes``: of the file system below it. A ``path`` that is, or
    lies behind, a symbolic link counts as empty: it leads out of the volume.
    """
    if os.path.realpath(path) != path or not Path(path).is_dir():
        return {"bytes": 0, "entries": 0, "too_deep": False, "missed": False, **_space("/opt/ml")}
    total, entries, too_deep, missed = 0, 0, False, False
    pending, linked, until = [path], set[tuple[int, int]](), time.monotonic() + MEASURE_SECONDS
    while pending and total <= max_bytes and entries <= max_entries and time.monotonic() < until:
        try:
            with os.scandir(pending.pop()) as listing:
                for entry in listing:
                    entries += 1
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError as error:
                        # This one has vanished, or its path is too long; its neighbours are there all the same.
                        too_deep = too_deep or error.errno == errno.ENAMETOOLONG
                        continue
                    if status.st_nlink == 1 or stat.S_ISDIR(status.st_mode):
                        total += status.st_blocks * 512
                    elif (status.st_dev, status.st_ino) not in linked:
                        linked.add((status.st_dev, status.st_ino))
                        total += status.st_blocks * 512
                    if stat.S_ISDIR(status.st_mode):
                        pending.append(entry.path)
                    if entries > max_entries:
                        break
        except OSError as error:
            # Whatever vanishes or changes under the walk is measured next time.
            too_deep, missed = too_deep or error.errno == errno.ENAMETOOLONG, True
    return {"bytes": total, "entries": entries, "too_deep": too_deep, "missed": missed, **_space(path)}


def _space(path: str) -> dict[str, int]:
    space = os.statvfs(path)
    return {"free_bytes": space.f_bavail * space.f_frsize, "free_entries": space.f_favail}
