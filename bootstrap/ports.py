"""Ports on 127.0.0.1, picked once and remembered, so that addresses stay the same from one start to the next."""

import json
import socket
import threading
import time

from bootstrap.home import Home, read_json

LOOPBACK = "127.0.0.1"
_LOCK = threading.Lock()


def answers(port: int, host: str = LOOPBACK, seconds: float = 0.3) -> bool:
    """Whether something accepts TCP connections there."""
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except OSError:
        return False


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def pick(home: Home, name: str, wanted: int = 0) -> int:
    """The remembered port of a service that is about to start, else the wanted one, else any free one."""
    with _LOCK:
        path = home.path("ports.json")
        known = read_json(path)
        taken = {value for key, value in known.items() if key != name}
        remembered = known.get(name)
        for port in (remembered, wanted):
            if isinstance(port, int) and port and port not in taken and is_free(port):
                break
        else:
            port = _any_free()
        known[name] = port
        path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
        return port


def remembered(home: Home, name: str) -> int:
    """The port that a running service was started on; 0 if it never was."""
    port = read_json(home.path("ports.json")).get(name)
    return port if isinstance(port, int) else 0


def wait(port: int, seconds: float) -> bool:
    """Wait until something listens there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if answers(port):
            return True
        time.sleep(0.05)
    return False
