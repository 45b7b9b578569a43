"""Archives of model files: collecting what training wrote, unpacking what serving reads. Nothing in them is trusted."""

from __future__ import annotations

import gzip
import io
import posixpath
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO

from listings.problems import ProblemError
from listings.reports import Evidence
from workers.chunks import IterReader

#: Links are kept until the end, to see what lies behind them.
MAX_LINKS = 20_000
CHUNK_BYTES = 1 << 20


class UnsafeArchive(Exception):
    """The archive holds what may not be unpacked; the message says what."""


class BudgetExceeded(Exception):
    """More bytes or entries than allowed."""


@dataclass(slots=True)
class Contents:
    """What was copied. ``left_out``: names that are neither files, directories nor links inside."""

    files: int = 0
    bytes: int = 0
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Limits:
    bytes: int
    entries: int


def collect(chunks: Iterable[bytes], target: IO[bytes], limits: Limits) -> Contents:
    """The engine's archive of ``/opt/ml/model`` as a ``model.tar.gz`` whose root is that directory's content.

    Raises ProblemError TEST-DISK past the limits.
    """
    try:
        with (
            tarfile.open(fileobj=IterReader(chunks), mode="r|") as source,
            gzip.GzipFile(filename="", fileobj=target, mode="wb", compresslevel=6, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        ):
            contents = Contents()
            for plain, data in _members(source, contents, limits, strip="model", strict=False):
                archive.addfile(plain, data)
                archive.members = []  # type: ignore[attr-defined]  # it would keep every member until the end
            return contents
    except BudgetExceeded as error:
        raise ProblemError("TEST-DISK", reason=f"the model directory holds {error}") from error


def unpacked(source: IO[bytes], limits: Limits, contents: Contents) -> Iterator[bytes]:
    """A ``model.tar.gz`` as a plain tar that is safe to hand to the engine, piece by piece, so that it takes no room of
    its own. ``contents`` counts what has been given out.

    Raises ProblemError TEST-ARTIFACT (not a gzip tar, an unsafe member, past the limits).
    """
    try:
        with tarfile.open(fileobj=source, mode="r|gz") as packed:
            for plain, data in _members(packed, contents, limits, strip="", strict=True):
                yield plain.tobuf(tarfile.PAX_FORMAT)
                yield from _padded(data, plain.size)
            yield bytes(2 * tarfile.BLOCKSIZE)
    except (
        tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, UnsafeArchive, BudgetExceeded, ValueError,
        OverflowError,
    ) as error:  # fmt: skip
        reason = str(error) or type(error).__name__
        raise ProblemError("TEST-ARTIFACT", reason=reason, evidence=(Evidence(reason),)) from error


def _padded(data: IO[bytes] | None, size: int) -> Iterator[bytes]:
    """A member's content up to the next whole block. Raises tarfile.ReadError where there is less of it."""
    left = size
    while data is not None and left:
        chunk = data.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise tarfile.ReadError("unexpected end of data")
        left -= len(chunk)
        yield chunk
    yield bytes(-size % tarfile.BLOCKSIZE)


def _members(
    source: tarfile.TarFile, contents: Contents, limits: Limits, *, strip: str, strict: bool
) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """What is taken of ``source``, each with its content, which is valid until the next is asked for.

    ``strict``: raises UnsafeArchive for what is not taken. Raises BudgetExceeded past the limits.
    """
    links, seen, entries = set[str](), set[str](), 0
    clear = set[str]()
    for member in source:
        entries += 1
        contents.bytes += max(member.size, 0)
        if entries > limits.entries:
            raise BudgetExceeded(f"more than {limits.entries} entries")
        if contents.bytes > limits.bytes:
            raise BudgetExceeded(f"more than {limits.bytes >> 20} MiB")
        name = safe_name(member.name, strip)
        if not name:
            continue
        problem = _refusal(member, name, strip, seen, behind_link=_behind_link(name, links, clear))
        if problem:
            if strict:
                raise UnsafeArchive(problem)
            contents.left_out.append(problem)
            continue
        if member.issym():
            links.add(name)
            clear.clear()
            if len(links) > MAX_LINKS:
                raise BudgetExceeded(f"more than {MAX_LINKS} symbolic links")
        seen.add(name)
        data = source.extractfile(member) if member.isfile() else None
        contents.files += member.isfile()
        yield _plain(member, name, strip), data
        # It would keep every member until the end.
        source.members = []  # type: ignore[attr-defined]


def _behind_link(name: str, links: set[str], clear: set[str]) -> bool:
    """``clear``: directories that are known to lie behind none of ``links``."""
    parent = posixpath.dirname(name)
    if not links or not parent or parent in clear:
        return False
    parts = parent.split("/")
    if any("/".join(parts[:depth]) in links for depth in range(1, len(parts) + 1)):
        return True
    clear.add(parent)
    return False


def safe_name(name: str, strip: str) -> str:
    """The member's path below the root, "" for the root itself. Raises UnsafeArchive."""
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise UnsafeArchive(f"{name!r} points outside the archive")
    clean = posixpath.normpath(name)
    if strip and (clean == strip or clean.startswith(strip + "/")):
        clean = clean[len(strip) + 1 :]
    return "" if clean == "." else clean


def _refusal(member: tarfile.TarInfo, name: str, strip: str, seen: set[str], *, behind_link: bool) -> str:
    """Why a member is not taken, "" where it is."""
    if behind_link:
        return f"{name!r} lies behind a symbolic link"
    if member.isfile() or member.isdir():
        return ""
    if member.issym():
        aim = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
        outside = member.linkname.startswith("/") or aim == ".." or aim.startswith("../")
        return f"the link {name!r} points outside, to {member.linkname!r}" if outside else ""
    if member.islnk():
        return "" if safe_name(member.linkname, strip) in seen else f"the hard link {name!r} has no target"
    return f"{name!r} is neither a file, a directory nor a link"


def _plain(member: tarfile.TarInfo, name: str, strip: str) -> tarfile.TarInfo:
    """The member without owner, special bits or extended attributes: as root's, the way SageMaker unpacks."""
    plain = tarfile.TarInfo(name)
    plain.type = member.type if not member.isfile() else tarfile.REGTYPE
    plain.size = member.size if member.isfile() else 0
    plain.mtime = int(member.mtime)
    plain.mode = (member.mode & 0o777) | (0o700 if member.isdir() else 0o600)
    if member.issym():
        plain.linkname = member.linkname
    elif member.islnk():
        plain.linkname = safe_name(member.linkname, strip)
    return plain


def add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))


def add_directory(archive: tarfile.TarFile, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, 0o755
    archive.addfile(member)
