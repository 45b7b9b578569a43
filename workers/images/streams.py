"""Files that are read once, from front to back, and hashed and counted on the way."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from isal import igzip

from workers.pax import CheckedHeader

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 1 << 20
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Source(Protocol):
    """Whatever is read from front to back: no bytes only at the end."""

    def read(self, size: int, /) -> bytes: ...


class TooMuch(Exception):
    """More than allowed; the message says of what."""


class CountingReader(io.RawIOBase):
    """Reads ``source``, hashing what passes. ``check`` is called at every read, so that a long one can be stopped."""

    def __init__(self, source: Source, limit: int, check: Callable[[], None]) -> None:
        self._source, self._limit, self._check = source, limit, check
        self._hash = hashlib.sha256()
        self._ahead = b""
        self.count = 0

    def readable(self) -> bool:
        return True

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes, which stay to be read."""
        while len(self._ahead) < size and (more := self._source.read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def read(self, size: int | None = -1) -> bytes:
        self._check()
        wanted = CHUNK if size is None or size < 0 else size
        chunk, self._ahead = self._ahead[:wanted], self._ahead[wanted:]
        if not chunk:
            chunk = self._source.read(wanted) or b""
        self.count += len(chunk)
        if self.count > self._limit:
            raise TooMuch(f"more than {self._limit} bytes")
        self._hash.update(chunk)
        return chunk

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self.read(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def drain(self) -> None:
        while self.read(CHUNK):
            pass

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


class ForwardFile:
    """``source`` as a file that is sought in, though forward only: what ``tarfile`` needs to go from entry to entry.

    Skipping copies nothing, where the library's own way with streams copies its buffer at every header.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._chunk, self._start, self._at = b"", 0, 0

    def tell(self) -> int:
        return self._start + self._at

    def seek(self, position: int) -> int:
        """Go to ``position``, or to the end where that comes first. Raises tarfile.StreamError for a way back."""
        if position < self.tell():
            raise tarfile.StreamError("an entry lies before the one that names it")
        while position > self._start + len(self._chunk) and self._next():
            pass
        self._at = min(position - self._start, len(self._chunk))
        return self.tell()

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer only at the end."""
        parts = [self._take(size)]
        while (missing := size - sum(map(len, parts))) > 0 and self._next():
            parts.append(self._take(missing))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _take(self, size: int) -> bytes:
        piece = self._chunk[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def _next(self) -> bool:
        self._start += len(self._chunk)
        self._chunk, self._at = self._source.read(CHUNK), 0
        return bool(self._chunk)


def unpacked(blob: CountingReader) -> Source:
    """``blob`` decompressed. Raises tarfile.ReadError for a compression that Docker's own format does not have."""
    start = blob.peek(4)
    if start.startswith(GZIP):
        # Layers are most of what inspect reads, and this takes a third of the standard library's time.
        return cast(Source, igzip.IGzipFile(fileobj=cast(BinaryIO, blob), mode="rb"))  # type: ignore[no-untyped-call]
    if start.startswith(ZSTD):
        raise tarfile.ReadError("it is compressed with zstd")
    return blob


def bounded_header(limit: int) -> type[tarfile.TarInfo]:
    """A TarInfo that reads no extended headers above ``limit`` bytes and takes no damaged header for the end.

    The library reads a long name or pax header into memory whatever its size, and stops without a word at a header
    that it cannot read, where an engine refuses the layer. It holds all those before one entry at the same time, and
    the global ones to the archive's end: either kind counts together. One class serves one archive.
    """
    held = 0
    extended = {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }

    class Bounded(CheckedHeader):
        @classmethod
        def fromtarfile(cls, archive: tarfile.TarFile) -> Bounded:
            try:
                return super().fromtarfile(archive)
            except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
                raise tarfile.ReadError(f"damaged entry header: {error}") from error

        def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
            nonlocal held
            if self.type == tarfile.GNUTYPE_SPARSE:
                raise tarfile.ReadError("it holds a sparse file")
            size = self.size if self.type in extended else 0
            if not 0 <= size <= limit - held:
                raise TooMuch(f"entry headers of {held + size} bytes")
            held += size
            member = super()._proc_member(archive)
            # It has read on to the entry itself by now.
            held -= size if self.type != tarfile.XGLTYPE else 0
            return member

        def _proc_gnusparse_10(self, *_: object) -> None:
            # The map of a sparse file is read without any bound. No builder writes one.
            raise tarfile.ReadError("it holds a sparse file")

    return Bounded
