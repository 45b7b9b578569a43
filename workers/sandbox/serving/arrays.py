"""Compares NumPy's archives (.npz) array by array, without NumPy: those of the same arrays differ in their times."""

from __future__ import annotations

import ast
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = b"\x93NUMPY"
MAX_UNPACKED_BYTES = 64 << 20
MAX_MEMBERS = 200
#: Larger arrays are told to differ, and not where.
MAX_VALUES = 1_000_000
#: Types of elements that are compared as numbers; everything else byte for byte.
FORMATS = {"f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q"}


class Unreadable(Exception):
    """The archive cannot be compared; the argument says why."""


#: What unpackers raise on damaged data.
DAMAGED = (zlib.error, lzma.LZMAError, struct.error)


@dataclass(frozen=True, slots=True)
class Array:
    kind: str
    shape: tuple[int, ...]
    data: bytes

    def values(self) -> tuple[float, ...] | None:
        """Its numbers in the order of the file; None where they are no plain numbers or too many."""
        code, size = FORMATS.get(self.kind[1:]), int(self.kind[2:]) if re.fullmatch("[0-9]{1,3}", self.kind[2:]) else 0
        if code is None or self.kind[0] not in "<>|" or len(self.data) % size or len(self.data) > MAX_VALUES * size:
            return None
        order = ">" if self.kind[0] == ">" else "<"
        return struct.unpack(f"{order}{len(self.data) // size}{code}", self.data)


def is_archive(data: bytes) -> bool:
    return data.startswith(b"PK\x03\x04")


def differences(expected: bytes, actual: bytes, tolerance: float) -> Iterator[str]:
    """The differences of two archives in words, each with the name of its member."""
    try:
        wanted, found = _members(expected), _members(actual)
    except Unreadable as error:
        yield f"the archive cannot be compared: {error}"
        return
    for name in dict.fromkeys([*wanted, *found]):
        if name not in wanted or name not in found:
            yield f"{name} is {'missing' if name in wanted else 'not expected'}"
        elif wanted[name] != found[name]:
            yield from _array_differences(name, wanted[name], found[name], tolerance)


def _members(data: bytes) -> dict[str, bytes]:
    """Raises Unreadable."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_MEMBERS or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
                raise Unreadable(f"more than {MAX_MEMBERS} members or {MAX_UNPACKED_BYTES >> 20} MiB")
            found = {}
            for entry in entries:
                with archive.open(entry) as member:  # a size that lies ends the reading, not the worker's memory
                    found[entry.filename[:200]] = member.read(entry.file_size + 1)
            return found
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, *DAMAGED) as error:
        raise Unreadable(str(error)[:200]) from error


def _array_differences(name: str, wanted: bytes, found: bytes, tolerance: float) -> Iterator[str]:
    one, other = _array(wanted), _array(found)
    if one is None or other is None:
        yield f"{name} differs: {len(found)} bytes, {len(wanted)} expected"
        return
    if (one.kind, one.shape) != (other.kind, other.shape):
        yield f"{name} is {other.kind} of shape {other.shape}, {one.kind} of shape {one.shape} expected"
        return
    numbers, others = one.values(), other.values()
    if numbers is None or others is None:
        yield f"{name} differs"
        return
    pairs = enumerate(zip(numbers, others, strict=False))
    far = [(i, a, b) for i, (a, b) in pairs if a != b and not (a != a and b != b) and not abs(a - b) <= tolerance]
    if far:
        index, a, b = far[0]
        yield f"{name}: {len(far)} of {len(numbers)} values differ; number {index} is {b!r}, {a!r} expected"


def _array(data: bytes) -> Array | None:
    """An ``.npy`` file; None where it is none, or one of Python objects."""
    if not data.startswith(MAGIC) or len(data) < 12:
        return None
    start, form = (10, "<H") if data[6] == 1 else (12, "<I")
    (length,) = struct.unpack_from(form, data, 8)
    head = data[start : start + min(length, 10_000)]
    try:
        fields = ast.literal_eval(head.decode("latin-1").strip())
        kind, shape = str(fields["descr"]), tuple(int(size) for size in fields["shape"])
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError, OverflowError):
        return None
    # Two arrays whose elements are laid out in different orders are not compared number by number.
    kind += "F" if fields.get("fortran_order") else ""
    return Array(kind, shape, data[start + length :])
