"""A container's streams, attached before it starts so that no byte is missed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from docker.utils.socket import frames_iter

from workers.engine import Engine

STDOUT, STDERR = 1, 2


class Attachment:
    """One attach connection. Writing goes to the container's stdin; iterating yields (1 | 2, bytes)."""

    def __init__(self, engine: Engine, container_id: str, *, stdin: bool = False) -> None:
        params = {"stdin": int(stdin), "stdout": 1, "stderr": 1, "stream": 1, "logs": 0}
        self._stream: Any = engine.api.attach_socket(container_id, params=params)
        # The SDK hands back a SocketIO over plain sockets and the socket itself over TLS.
        self._socket: socket.socket = getattr(self._stream, "_sock", self._stream)
        self._socket.settimeout(None)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Until the container ends or the connection is closed."""
        try:
            yield from frames_iter(self._stream, tty=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError):
            return  # closed by close(), or the engine went away: its next call says so

    def write(self, data: bytes) -> None:
        """Raises OSError when the container is gone."""
        self._socket.sendall(data)

    def close(self) -> None:
        with suppress(OSError):  # already closed by the other side
            self._socket.shutdown(socket.SHUT_RDWR)
        # The SDK hangs the HTTP response, which owns the connection, on the stream.
        (getattr(self._stream, "_response", None) or self._stream).close()
