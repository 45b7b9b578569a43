"""A door in front of a Unix socket or a TCP port, which a test can shut, open again, or let nothing through."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path


class Door:
    """Passes bytes between whoever connects to ``address`` and ``target`` (a path or (host, port))."""

    def __init__(self, target: str | tuple[str, int], *, unix: bool) -> None:
        self._target, self._unix = target, unix
        self._folder = Path(tempfile.mkdtemp(prefix="door-"))
        self._port = 0
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        self.stuck = False
        self.open()

    @property
    def path(self) -> Path:
        return self._folder / "door.sock"

    @property
    def port(self) -> int:
        return self._port

    def open(self) -> None:
        if self._unix:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self.path))
        else:
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(("127.0.0.1", self._port))
            self._port = self._listener.getsockname()[1]
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Nobody gets in any more, and who is inside is thrown out."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.path.unlink(missing_ok=True)
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def close(self) -> None:
        self.shut()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                guest, _ = listener.accept()
            except OSError:
                return
            self._open.append(guest)
            if not self.stuck:
                self._let_through(guest)

    def _let_through(self, guest: socket.socket) -> None:
        host = socket.socket(socket.AF_UNIX if isinstance(self._target, str) else socket.AF_INET)
        try:
            host.connect(self._target)
        except OSError:
            guest.close()
            return
        self._open.append(host)
        for source, sink in ((guest, host), (host, guest)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
