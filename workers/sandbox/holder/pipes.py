"""Feeds files through named pipes, epoch by epoch, as SageMaker's Pipe mode does: ``<channel>_0`` is there from the
start, and ``<channel>_<n+1>`` as soon as somebody reads ``<channel>_<n>``.

The pipes lie in a directory that the container under test can change: only the pipe that was made here is ever
written to, never a path, and a container that does not read makes nothing wait but its own channel's thread.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHUNK_BYTES = 64 * 1024
LOOK_SECONDS = 0.02
MAX_CHANNELS = 8
MAX_EPOCHS = 100_000


class Channel:
    """One channel. ``opened``: epochs that somebody began to read; ``complete``: those given out to the last byte."""

    def __init__(self, folder: int, name: str, source: str) -> None:
        self._folder, self._name, self._source = folder, name, source
        self.opened = self.complete = self.bytes = 0
        self.error = ""
        self._next = self._make(0)

    def start(self) -> None:
        threading.Thread(target=self._run, name=f"pipe-{self._name}"[:15], daemon=True).start()

    def as_json(self) -> dict[str, Any]:
        return {"opened": self.opened, "complete": self.complete, "bytes": self.bytes, "error": self.error}

    def _make(self, epoch: int) -> int:
        """A new pipe, as a handle that stays with it whatever becomes of its name. Raises OSError."""
        name = f"{self._name}_{epoch}"
        os.mkfifo(name, 0o644, dir_fd=self._folder)
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder)
        if not stat.S_ISFIFO(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(errno.EEXIST, "the pipe was replaced", name)
        return handle

    def _run(self) -> None:
        try:
            for epoch in range(MAX_EPOCHS):
                current = self._next
                writer = _writer(current)
                try:
                    self.opened += 1
                    self._next = self._make(epoch + 1)
                    self._feed(writer)
                finally:
                    os.close(writer)
                    os.close(current)
                os.unlink(f"{self._name}_{epoch}", dir_fd=self._folder)
        except OSError as error:  # the container has put something else in its place
            self.error = f"{type(error).__name__}: {error}"[:200]

    def _feed(self, writer: int) -> None:
        """All of the files, one after the other, for as long as it is read."""
        ready = select.poll()
        ready.register(writer, select.POLLOUT)
        try:
            for chunk in self._chunks():
                rest = memoryview(chunk)
                while rest:
                    try:
                        written = os.write(writer, rest)
                    except BlockingIOError:
                        ready.poll(1000)
                        continue
                    rest = rest[written:]
                    self.bytes += written
            self.complete += 1
        except BrokenPipeError:
            return  # closed before its end: the next epoch, if any

    def _chunks(self) -> Iterator[bytes]:
        for path in sorted(Path(self._source).rglob("*")):
            if path.is_file():
                with path.open("rb") as file:
                    while chunk := file.read(CHUNK_BYTES):
                        yield chunk


class Pipes:
    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}

    def start(self, target: str, sources: dict[str, str]) -> dict[str, Any]:
        """Make each channel's first pipe in ``target`` and feed it from then on. ``sources``: channel -> directory.

        Raises OSError, ValueError.
        """
        if len(sources) > MAX_CHANNELS:
            raise ValueError("too many channels")
        folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        for name, source in sources.items():
            self._channels[name] = Channel(folder, name, source)
        for channel in self._channels.values():
            channel.start()
        return {}

    def as_json(self) -> dict[str, Any]:
        """Channel -> what was read of it so far."""
        return {"channels": {name: channel.as_json() for name, channel in self._channels.items()}}


def _writer(handle: int) -> int:
    """The writing end, once somebody has opened the other: opening it before would make this thread the reader's."""
    while True:
        try:
            return os.open(f"/proc/self/fd/{handle}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        time.sleep(LOOK_SECONDS)
