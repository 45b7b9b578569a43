"""Members of an uploaded archive, read as a stream: a .zip, a .tar or a .tar.gz that nobody vouches for.

Nothing is extracted under a name of the archive's own, and no read is larger than its bound, so a hostile
archive costs neither a path nor memory. What a member's name or content means is judged in ``archive.py``.
"""

from __future__ import annotations

import gzip
import io
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any, cast

from listings.problems import ProblemError
from workers.pax import CheckedHeader

CHUNK = 1 << 20
#: Header bytes that one tar member may have: names and extended headers are read into memory.
MAX_HEADER = 256 * 1024
#: The zip format's list of members is read into memory at once.
MAX_ZIP_DIRECTORY = 32 << 20
MAX_LINK = 4096

_KNOWN_OTHERS = {
    b"\xfd7zXZ": "an .xz file", b"BZh": "a .bz2 file", b"7z\xbc\xaf": "a .7z file", b"Rar!": "a .rar file",
    b"\x28\xb5\x2f\xfd": "a .zst file", b"\x7fELF": "a program", b"%PDF": "a PDF",
}  # fmt: skip
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OverflowError,
           RecursionError, IndexError)  # fmt: skip


class Kind(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"


@dataclass(frozen=True, slots=True)
class Limits:
    """``bytes`` after expansion and ``files`` (members) of one archive. An archive that expands to more than
    ``ratio`` times its packed size is a bomb, unless it stays below ``ratio_floor`` bytes."""

    bytes: int
    files: int
    ratio: int | None = 200
    ratio_floor: int = 128 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """``content`` gives a file's bytes and is valid until the next member is asked for. ``executable`` is None
    where the archive does not say (a zip made on Windows)."""

    name: str
    kind: Kind
    size: int
    executable: bool | None
    target: str
    content: IO[bytes] | None


def damaged(detail: object) -> ProblemError:
    return ProblemError("SOURCE-NOT-ARCHIVE", detail=str(detail).strip().rstrip(".")[:200] or "it is damaged")


def readable(size: int) -> str:
    """``1.5 GiB``"""
    amount = float(size)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


class Meter:
    """Counts what an archive expands to. Raises SOURCE-TOO-LARGE and SOURCE-BOMB."""

    def __init__(self, limits: Limits, packed: int, check: Callable[[], None]) -> None:
        self._limits, self._packed, self._check = limits, packed, check
        self.bytes = self.members = 0

    def add(self, size: int) -> None:
        self._check()
        self.bytes += size
        limits = self._limits
        if self.bytes > limits.bytes:
            what = f"It expands to more than {readable(limits.bytes)}"
            raise ProblemError("SOURCE-TOO-LARGE", what=what, limit=readable(limits.bytes))
        # Ratio first would call a big honest source a bomb; the floor keeps small ones out of it.
        if limits.ratio and self.bytes > max(limits.ratio_floor, limits.ratio * max(self._packed, 1)):
            detail = f"{readable(self.bytes)} so far from {readable(self._packed)}"
            raise ProblemError("SOURCE-BOMB", ratio=limits.ratio, detail=detail)

    def add_member(self) -> None:
        self._check()
        self.members += 1
        if self.members > self._limits.files:
            what = "It has too many files and directories"
            raise ProblemError("SOURCE-TOO-LARGE", what=what, limit=f"{self._limits.files:,}")


@contextmanager
def _as_damage() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise damaged(error) from error
    except NotImplementedError as error:
        raise damaged(f"it uses a feature that is not supported ({error})") from error


def members(upload: IO[bytes], packed: int, limits: Limits, check: Callable[[], None]) -> Iterator[Member]:
    """The members of ``upload`` (seekable, ``packed`` bytes long) in their order.

    ``check`` is called often and may raise to stop. Raises ProblemError SOURCE-NOT-ARCHIVE, -TOO-LARGE, -BOMB,
    -ENCRYPTED, -SPECIAL-FILE.
    """
    upload.seek(0)
    start = upload.read(512)
    upload.seek(0)
    meter = Meter(limits, packed, check)
    with _as_damage():
        if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            yield from _zip_members(upload, meter)
        elif start[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=upload, mode="rb") as unpacked:
                yield from _tar_members(cast("IO[bytes]", unpacked), meter)
        else:
            _refuse_other(start)
            yield from _tar_members(upload, meter)


def _refuse_other(start: bytes) -> None:
    if not start:
        raise damaged("it is empty")
    for magic, what in _KNOWN_OTHERS.items():
        if start.startswith(magic):
            raise damaged(f"it is {what}")


class _Content:
    """A member's bytes, whose damage shows in the reader's hands."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def read(self, size: int = CHUNK) -> bytes:
        with _as_damage():
            return self._source.read(size)


class _Forward:
    """What tarfile reads from: forwards only, metered, and with little to spend on each member's headers."""

    def __init__(self, source: IO[bytes], meter: Meter) -> None:
        self._source, self._meter = source, meter
        self._position = 0
        self.header_budget: int | None = None
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            raise damaged("its headers are damaged")
        if self.header_budget is not None:
            self.header_budget -= size
            if self.header_budget < 0:
                raise damaged("a member has too long a header")
        data = self._source.read(size)
        self._position += len(data)
        self._meter.add(len(data))
        self.last = data
        return data

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position < self._position:
            raise damaged("its headers lead backwards")
        budget, self.header_budget = self.header_budget, None
        while self._position < position and self.read(min(CHUNK, position - self._position)):
            pass
        self.header_budget = budget


def _tar_members(source: IO[bytes], meter: Meter) -> Iterator[Member]:
    stream = _Forward(source, meter)
    stream.header_budget = MAX_HEADER
    with tarfile.TarFile(fileobj=cast("Any", stream), mode="r", tarinfo=CheckedHeader, errorlevel=2) as archive:
        while True:
            stream.header_budget = MAX_HEADER
            entry = archive.next()
            if entry is None:
                break
            # tarfile remembers every member and every global header; here nothing looks back.
            cast("Any", archive).members = []
            archive.pax_headers = {}
            meter.add_member()
            stream.header_budget = None
            yield _tar_member(archive, entry)
    # tarfile takes a damaged header for the end; the true end is a block of zeros, or nothing.
    if stream.last.strip(b"\0"):
        raise damaged(f"it is damaged after {readable(stream.tell())}")
    # To the very end: only there does gzip tell whether everything arrived.
    stream.header_budget = None
    while stream.read(CHUNK):
        pass


def _tar_member(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Member:
    executable = bool(entry.mode & 0o111)
    if entry.isreg():
        content = cast("IO[bytes]", _Content(cast("IO[bytes]", archive.extractfile(entry))))
        return Member(entry.name, Kind.FILE, entry.size, executable, "", content)
    if entry.isdir():
        return Member(entry.name, Kind.DIRECTORY, 0, True, "", None)
    if entry.issym() or entry.islnk():
        kind = Kind.SYMLINK if entry.issym() else Kind.HARDLINK
        return Member(entry.name, kind, 0, executable, entry.linkname, None)
    what = "a device" if entry.isdev() and not entry.isfifo() else "a pipe" if entry.isfifo() else "of an unknown type"
    raise ProblemError("SOURCE-SPECIAL-FILE", member=shown(entry.name), kind=what)


class _Bounded(io.RawIOBase):
    """A file of which no single read may be large: zipfile reads its directory in one."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def read(self, size: int = -1) -> bytes:
        if size > MAX_ZIP_DIRECTORY:
            what, limit = "The list of its files is too long", readable(MAX_ZIP_DIRECTORY)
            raise ProblemError("SOURCE-TOO-LARGE", what=what, limit=limit)
        return self._source.read(size if size >= 0 else MAX_ZIP_DIRECTORY)

    def seek(self, position: int, whence: int = 0) -> int:
        return self._source.seek(position, whence)

    def tell(self) -> int:
        return self._source.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _zip_members(upload: IO[bytes], meter: Meter) -> Iterator[Member]:
    with zipfile.ZipFile(cast("IO[bytes]", _Bounded(upload))) as archive:
        for entry in archive.infolist():
            meter.add_member()
            if entry.flag_bits & 0x1:
                raise ProblemError("SOURCE-ENCRYPTED", member=shown(entry.filename))
            # Others can ask for gigabytes of memory to unpack, and no common tool writes them.
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise damaged(f"{shown(entry.filename)} is packed with a method other than deflate")
            yield from _zip_member(archive, entry, meter)


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, meter: Meter) -> Iterator[Member]:
    # The upper half of the attributes are Unix mode bits. Windows leaves them zero or without executable bits.
    mode = entry.external_attr >> 16
    name = entry.filename.replace("\\", "/")
    kind = stat.S_IFMT(mode)
    if entry.is_dir() or kind == stat.S_IFDIR or name.endswith("/"):
        yield Member(name, Kind.DIRECTORY, 0, True, "", None)
        return
    if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
        raise ProblemError("SOURCE-SPECIAL-FILE", member=shown(name), kind="a device, pipe or socket")
    with archive.open(entry) as content:
        metered = cast("IO[bytes]", _Metered(content, meter))
        if kind == stat.S_IFLNK:
            target = metered.read(MAX_LINK).decode("utf-8", "surrogateescape")
            yield Member(name, Kind.SYMLINK, 0, False, target, None)
        else:
            executable = bool(mode & 0o111) or (None if entry.create_system == 0 or not mode else False)
            yield Member(name, Kind.FILE, entry.file_size, executable, "", cast("IO[bytes]", _Content(metered)))


class _Metered:
    def __init__(self, source: IO[bytes], meter: Meter) -> None:
        self._source, self._meter = source, meter

    def read(self, size: int = CHUNK) -> bytes:
        data = self._source.read(min(size, CHUNK) if size >= 0 else CHUNK)
        self._meter.add(len(data))
        return data


def shown(name: str) -> str:
    """A member's name as it can be printed."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return re.sub(r"[\x00-\x1f\x7f]", "?", text)[:200]
