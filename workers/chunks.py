"""Pieces of bytes, as an engine sends them, for what wants to read a file."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable


class IterReader(io.RawIOBase):
    """A readable over an iterator of byte chunks, for tarfile's streaming mode."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read_some(self, size: int) -> bytes:
        """What is at hand, at most ``size`` bytes; empty only at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = chunk
        part, self._rest = self._rest[:size], self._rest[size:]
        return part

    def read(self, size: int = -1) -> bytes:
        """Exactly ``size`` bytes, fewer only at the end; everything when negative."""
        parts: list[bytes] = []
        left = size if size >= 0 else sys.maxsize
        while left > 0 and (part := self.read_some(left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
