"""Real parts that a test may take away and bring back: the way to the engine, a registry, a small disk."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests import programs, registry_fixtures
from tests.registry_fixtures import Registry
from tests.stack import wait_until
from workers.engine import Engine


class EngineLine:
    """A socket of the test's own in front of the engine's. ``cut`` ends every connection and takes no new one."""

    def __init__(self, path: Path, engine_socket: str) -> None:
        self.path, self._engine = path, engine_socket
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.mend()

    @property
    def address(self) -> str:
        return f"unix://{self.path}"

    def mend(self) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self.path.unlink()
        # Closing alone would leave the thread in accept(), and the address in use.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._engine)
            with self._lock:
                self._open |= {near, far}
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_relay, args=(source, target), daemon=True).start()


def _relay(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class OwnRegistry:
    """A registry program of the test's own, with its data, on one port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, programs.free_port()
        self.registry = Registry(f"127.0.0.1:{self.port}", registry_fixtures.USERNAME, registry_fixtures.PASSWORD)
        self._configuration = registry_fixtures._configuration(folder, self.port)
        self._server: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = ["docker-registry", "serve", str(self._configuration)]
            self._server = programs.start(command, stdout=log, stderr=subprocess.STDOUT)
        registry_fixtures._wait(f"http://127.0.0.1:{self.port}/v2/", self._server, self.folder / "log")

    def stop(self) -> None:
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None

    @property
    def bytes_held(self) -> int:
        data = self.folder / "data"
        total = 0
        for folder, _, names in os.walk(data):
            for name in names:
                with suppress(FileNotFoundError):  # the registry moves what is whole
                    total += (Path(folder) / name).stat().st_size
        return total


class SmallDisk:
    """A file system of ``megabytes`` in memory."""

    def __init__(self, path: Path, megabytes: int) -> None:
        path.mkdir(parents=True)
        self.path = path
        self._enough = threading.Event()
        self._filler: threading.Thread | None = None
        options = f"size={megabytes}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "slipway-test", str(path)], check=True)

    def fill(self, leave_bytes: int = 0) -> None:
        """Write until nothing, or just ``leave_bytes``, is left."""
        with (self.path / "ballast").open("ab", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(b"\0" * 65536)
        if leave_bytes:
            with (self.path / "ballast").open("ab") as ballast:
                ballast.truncate(max(0, ballast.tell() - leave_bytes))

    def stay_full(self) -> None:
        """Fill, and take at once what anybody else lets go of, until ``free``."""
        self.fill()
        self._filler = threading.Thread(target=self._refill, daemon=True)
        self._filler.start()

    def _refill(self) -> None:
        while not self._enough.wait(0.02):
            self.fill()

    def free(self) -> None:
        self._enough.set()
        if self._filler is not None:
            self._filler.join()
        self._enough.clear()
        (self.path / "ballast").unlink(missing_ok=True)

    def remove(self) -> None:
        self.free()
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


def containers(engine: Engine, instance: str) -> int:
    """How many containers an instance's attempts have; a worker's own self-test is none."""
    return sum(thing.kind == "container" and bool(thing.attempt) for thing in engine.owned(instance))


@contextmanager
def once(what: str, condition: Callable[[], object], act: Callable[[], None]) -> Iterator[None]:
    """Beside the block: wait for ``condition``, then ``act``. Fails if that never came about."""
    done: list[bool] = []

    def watch() -> None:
        wait_until(what, condition, 90, every=0.02)
        act()
        done.append(True)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield
    watcher.join(5)
    assert done, f"it never came to this: {what}"
