"""Headers of tar archives, checked before the library takes them apart.

Up to Python 3.11.9 it searches extended headers with expressions whose time grows with the square of a header's length
(CVE-2024-6232): 2.1 s for 32 kB, so about half an hour for a megabyte, in one call, beside which no thread
runs, neither heartbeat nor stop. And it takes entries of negative size, which lead backwards.
"""

from __future__ import annotations

import re
import tarfile
from typing import Any, cast

#: Digits in a row. No name has more: one of a file is at most 255 bytes long (Linux, NAME_MAX).
MOST_DIGITS = 300
#: "length keyword=value\n", the length that of the whole (POSIX.1-2017, pax, "pax Extended Header").
_LENGTH, _SHORTEST = re.compile(rb"([0-9]{1,20}) "), len(b"5 a=\n")
_DIGITS = re.compile(rb"[0-9]++")


class CheckedHeader(tarfile.TarInfo):
    """What an archive of somebody else's is opened with, as its ``tarinfo``.

    Raises tarfile.ReadError for an extended header that no engine reads either, and for negative sizes.
    """

    # Hooks that the library's source names for subclasses; its stubs do not have them.

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        _require_size(self)
        member = cast(tarfile.TarInfo, super()._proc_member(archive))  # type: ignore[misc]
        _require_size(member)  # an extended header may have set another
        return member

    def _proc_pax(self, archive: Any) -> tarfile.TarInfo:
        content = archive.fileobj.read(-(-self.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        require_records(content)
        archive.fileobj = _Again(content, archive)
        return cast(tarfile.TarInfo, super()._proc_pax(archive))  # type: ignore[misc]


class _Again:
    """Gives ``archive``'s next read what was read already, and its file back."""

    def __init__(self, content: bytes, archive: Any) -> None:
        self._content, self._archive, self._file = content, archive, archive.fileobj

    def read(self, size: int) -> bytes:
        self._archive.fileobj = self._file
        return self._content


def _require_size(member: tarfile.TarInfo) -> None:
    if member.size < 0:
        raise tarfile.ReadError(f"an entry of {member.size} bytes")


def require_records(header: bytes) -> None:
    """Takes time in proportion to the header's length. Raises tarfile.ReadError for what are not records."""
    if any(found.end() - found.start() > MOST_DIGITS for found in _DIGITS.finditer(header)):
        raise tarfile.ReadError("damaged extended header: too many digits in a row")
    place = 0
    while place < len(header) and header[place]:
        found = _LENGTH.match(header, place)
        length = int(found[1]) if found else 0
        end = place + length - 1
        if found is None or length < _SHORTEST or header[end : end + 1] != b"\n":
            raise tarfile.ReadError("damaged extended header")
        if header.find(b"=", found.end() + 1, end) < 0:
            raise tarfile.ReadError("damaged extended header: a record without a value")
        place = end + 1
