"""What git runs for ssh. Standard library only: it is started by its path, once a connection.

Without ``--connect`` it stands in for ssh: it looks whether the host is the one that the step's key is for, and becomes
ssh with the step's configuration. With ``--connect`` it is that ssh's ProxyCommand: standard input and output, joined
with the host through the guard. Host and port go from one to the other in the environment, so that nothing a seller
wrote is ever part of a shell's command line.
"""

from __future__ import annotations

import base64
import os
import selectors
import socket
import sys
from urllib.parse import urlsplit

CONFIG = "SLIPWAY_GIT_SSH_CONFIG"
SITE = "SLIPWAY_GIT_SSH_SITE"
#: How this file is run.
COMMAND = (sys.executable, "-I", __file__)
_TARGET = "SLIPWAY_GIT_SSH_TARGET"
_CHUNK = 64 * 1024
_FAILED = 255  # as ssh itself ends


def main(arguments: list[str]) -> int:
    if arguments == ["--connect"]:
        return connect()
    port, rest = _options(arguments)
    user, _, host = rest[0].rpartition("@")
    host = host.strip("[]").lower()
    bracketed = f"[{host}]" if ":" in host else host
    site = bracketed if port == "22" else f"{bracketed}:{port}"
    if site != os.environ.get(SITE):
        _say(f"slipway: Permission denied: there is no deploy key for {site}")
        return _FAILED
    os.environ[_TARGET] = f"{bracketed}:{port}"
    command = ["ssh", "-F", os.environ[CONFIG], "-p", port, "-o", "SendEnv=GIT_PROTOCOL", "--"]
    try:
        os.execvp("ssh", [*command, f"{user}@{host}" if user else host, *rest[1:]])  # noqa: S606, S607
    except FileNotFoundError:
        _say("slipway: cannot run ssh: it is not installed")
        return _FAILED


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _options(arguments: list[str]) -> tuple[str, list[str]]:
    """The port, and destination with command, of what git gives an ssh of variant ``ssh``."""
    port, left = "22", list(arguments)
    while left and left[0].startswith("-"):
        option = left.pop(0)
        if option in ("-o", "-p"):
            value = left.pop(0)
            port = value if option == "-p" else port
    return port, left


def connect() -> int:
    """Ask the guard for a connection, and join it with standard input and output."""
    guard, target = urlsplit(os.environ["https_proxy"]), os.environ[_TARGET]
    word = base64.b64encode(f"{guard.username}:{guard.password}".encode()).decode()
    with socket.create_connection((guard.hostname or "", guard.port or 0), 60) as way:
        way.sendall(
            f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {word}\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = way.recv(1)
            if not byte:
                return _FAILED
            head += byte
        if b" 200 " not in head.partition(b"\r\n")[0]:
            _say(f"slipway: no connection to {target}")
            return _FAILED
        way.settimeout(None)
        _join(way)
    return 0


def _join(way: socket.socket) -> None:
    with selectors.DefaultSelector() as waiting:
        waiting.register(0, selectors.EVENT_READ)
        waiting.register(way, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                data = os.read(0, _CHUNK) if key.fileobj == 0 else way.recv(_CHUNK)
                if key.fileobj == 0:
                    if data:
                        way.sendall(data)
                    else:
                        waiting.unregister(0)
                        way.shutdown(socket.SHUT_WR)
                elif not data:
                    return
                else:
                    while data:
                        data = data[os.write(1, data) :]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError as error:
        _say(f"slipway: {error.strerror or error}")
        sys.exit(_FAILED)
