"""The guard's proxy: HTTP CONNECT for TLS and ssh, absolute addresses for plain HTTP. Decides nothing itself."""

from __future__ import annotations

import base64
import hmac
import selectors
import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, Self
from urllib.parse import urlsplit

MAX_HEAD = 32 * 1024
HEAD_SECONDS = 30.0
CHUNK = 64 * 1024
#: Headers between client and proxy (RFC 9110, section 7.6.1). Each plain request gets a connection of its own.
_HOP = (b"proxy-authorization:", b"proxy-connection:", b"connection:", b"keep-alive:")


class Connect(Protocol):
    def __call__(self, host: str, port: int, *, plain: bool) -> socket.socket | None: ...


class Proxy(socketserver.ThreadingTCPServer):
    """As a context manager it serves, and gives its port; on leaving, every connection through it is cut."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, password: str, connect: Connect) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.connect = connect
        self._wanted = b"Basic " + base64.b64encode(f"slipway:{password}".encode())
        self._open: set[socket.socket] = set()
        self._is_cut = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.2,), name="guard", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self.cut()

    def cut(self) -> None:
        """End every connection through here, and each one that is still to come."""
        with self._lock:
            self._is_cut = True
            for connection in self._open:
                _end(connection)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def knows(self, authorization: bytes) -> bool:
        return hmac.compare_digest(authorization, self._wanted)

    def note(self, connection: socket.socket) -> None:
        """Remember a connection, to cut it at the end."""
        with self._lock:
            self._open.add(connection)
            if self._is_cut:
                _end(connection)

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is nothing to report."""


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(socketserver.BaseRequestHandler):
    server: Proxy
    request: socket.socket

    def handle(self) -> None:
        client = self.request
        self.server.note(client)
        try:
            with suppress(OSError, ValueError):
                self._serve(client)
        finally:
            self.server.forget(client)

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(HEAD_SECONDS)
        head, rest = _read_head(client)
        lines = head.split(b"\r\n")
        if not self.server.knows(_header(lines, b"proxy-authorization")):
            _answer(client, "407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="slipway"\r\n')
            return
        method, target, _ = lines[0].split(b" ", 2)
        tunnel = method == b"CONNECT"
        parts = urlsplit(("//" if tunnel else "") + target.decode("ascii"))
        host, port = parts.hostname, parts.port or 80
        if not host or (not tunnel and parts.scheme != "http"):
            _answer(client, "400 Bad Request")
            return
        upstream = self.server.connect(host, port, plain=not tunnel)
        if upstream is None:
            _answer(client, "403 Refused or not reached")
            return
        self.server.note(upstream)
        try:
            with upstream:
                if tunnel:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    first = rest
                else:
                    path = parts._replace(scheme="", netloc="").geturl() or "/"
                    first = _forwarded(method, path, lines) + rest
                upstream.sendall(first)
                _relay(client, upstream, _passed_on if tunnel else _Closing())
        finally:
            self.server.forget(upstream)


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    """The request's head without its last empty line, and what came after it. Raises ValueError, OSError."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = client.recv(CHUNK)
        if not chunk or len(data) > MAX_HEAD:
            raise ValueError("no request")
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _header(lines: list[bytes], name: bytes) -> bytes:
    for line in lines[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


def _forwarded(method: bytes, path: str, lines: list[bytes]) -> bytes:
    kept = [line for line in lines[1:] if not line.lower().startswith(_HOP)]
    return b"\r\n".join([b"%s %s HTTP/1.1" % (method, path.encode("ascii")), *kept, b"Connection: close", b"", b""])


def _answer(client: socket.socket, status: str, headers: str = "") -> None:
    client.sendall(f"HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())


def _passed_on(data: bytes) -> bytes:
    return data


class _Closing:
    """Tells the client, in the answer's head, that the connection ends with the answer: it would be used again."""

    def __init__(self) -> None:
        self._head: bytes | None = b""

    def __call__(self, data: bytes) -> bytes:
        if self._head is None:
            return data
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end and len(head) <= MAX_HEAD:
            return b""
        self._head = None
        kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(_HOP)]
        return b"\r\n".join([*kept, b"Connection: close"]) + end + rest


def _relay(client: socket.socket, upstream: socket.socket, answered: Callable[[bytes], bytes]) -> None:
    """Bytes both ways until both have ended, or one fails; what upstream sends goes through ``answered``."""
    with selectors.DefaultSelector() as waiting:
        for side, other in ((client, upstream), (upstream, client)):
            side.settimeout(None)
            waiting.register(side, selectors.EVENT_READ, (side, other))
        while waiting.get_map():
            for key, _ in waiting.select():
                side, other = key.data
                data = side.recv(CHUNK)
                if data:
                    other.sendall(answered(data) if side is upstream else data)
                    continue
                waiting.unregister(side)
                if side is upstream:
                    # Nothing more can be answered; a client that keeps its connection would wait for ever.
                    return
                with suppress(OSError):
                    other.shutdown(socket.SHUT_WR)
