"""Reading in a thread of its own, so that hashing and unpacking need no time of the one who takes the bytes apart."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from workers.images.streams import CHUNK, Source

#: Chunks that wait for the reader. With fewer, each side waits for Python's lock at every one of them.
DEPTH = 4


class ReadAhead:
    """A file that a thread reads ``source`` for, a few chunks ahead. What ``source`` raises, ``read`` raises.

    Use it in a ``with``: after the block nobody reads ``source`` any more.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._chunks: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self._room = threading.Semaphore(DEPTH)
        self._rest, self._is_over = b"", False
        self._left = False
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._left = True
        self._room.release()
        self._thread.join()

    def read(self, size: int) -> bytes:
        """Some of the next ``size`` bytes; none only at the end."""
        if not self._rest and not self._is_over:
            self._rest = self._next()
            self._is_over = not self._rest
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def _next(self) -> bytes:
        found = self._chunks.get()
        self._room.release()
        if isinstance(found, BaseException):
            self._chunks.put(found)  # for whoever asks again
            raise found
        return found

    def _run(self) -> None:
        try:
            while self._room.acquire() and not self._left:
                chunk = self._source.read(CHUNK)
                self._chunks.put(chunk)
                if not chunk:
                    return
        except BaseException as error:
            self._chunks.put(error)
