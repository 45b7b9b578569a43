"""One pass over one layer blob: what it adds, hides and removes, and whether its bytes are the ones asked for."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from typing import IO, BinaryIO, cast

from isal import isal_zlib

from listings.problems import ProblemError
from workers.images.ahead import ReadAhead
from workers.images.facts import FileEntry, Kind, LayerFacts
from workers.images.heads import HEAD_BYTES, describe_head
from workers.images.kept import Texts
from workers.images.limits import Limits
from workers.images.names import Names
from workers.images.streams import CHUNK, CountingReader, ForwardFile, TooMuch, bounded_header, unpacked
from workers.images.text import printable

#: Marks of removed files and emptied directories: OCI image specification, "Whiteouts".
WHITEOUT, OPAQUE, RESERVED = ".wh.", ".wh..wh..opq", ".wh..wh."
_UNREADABLE = (
    tarfile.TarError, EOFError, cast(type[Exception], isal_zlib.error), OSError, ValueError, OverflowError,
    RecursionError,
)  # fmt: skip


def read_layer(blob: BinaryIO, digest: str, limits: Limits, *, check: Callable[[], None]) -> LayerFacts:
    """Read ``blob`` to its end. Raises ProblemError if it is not the blob of that digest, no layer, or hostile."""
    packed = CountingReader(blob, limits.bytes, check)
    found = _Found(limits)
    try:
        with ReadAhead(unpacked(packed)) as unpacking:
            plain = CountingReader(unpacking, limits.bytes, check)
            with ReadAhead(plain) as hashing:
                _entries(hashing, found, limits, check)
                while hashing.read(CHUNK):
                    pass
        packed.drain()
    except TooMuch as error:
        raise ProblemError("IMAGE-LAYER-LIMIT", layer=digest, detail=error) from error
    except ProblemError as error:
        raise ProblemError(error.code, evidence=(), **error.report.params | {"layer": digest}) from error
    except _UNREADABLE as error:
        _refuse_unreadable(packed, digest, error)
    if packed.digest != digest:
        raise ProblemError("IMAGE-LAYER-DIGEST", layer=digest, found=packed.digest)
    return found.facts(digest, plain.digest, packed.count)


def _refuse_unreadable(packed: CountingReader, digest: str, error: Exception) -> None:
    """Bytes that are not a layer are the seller's if they are those of the digest, else the registry's."""
    try:
        packed.drain()
    except TooMuch as again:
        raise ProblemError("IMAGE-LAYER-LIMIT", layer=digest, detail=again) from error
    except OSError as again:
        raise ProblemError("IMAGE-REGISTRY", detail=f"layer {digest}: {again}") from error
    if packed.digest != digest:
        raise ProblemError("IMAGE-LAYER-DIGEST", layer=digest, found=packed.digest) from error
    raise ProblemError("IMAGE-LAYER-UNREADABLE", layer=digest, detail=error or type(error).__name__) from error


def _entries(plain: ReadAhead, found: _Found, limits: Limits, check: Callable[[], None]) -> None:
    with tarfile.open(
        fileobj=cast(IO[bytes], ForwardFile(plain)),
        mode="r:",
        tarinfo=bounded_header(limits.header),
        errors="surrogateescape",
    ) as archive:
        while (member := archive.next()) is not None:
            check()
            archive.members = []  # type: ignore[attr-defined]  # the library keeps every one of them otherwise
            found.add(member, archive)


class _Found:
    """Collects a layer's facts entry by entry."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._names = Names(limits)
        self._texts = Texts(limits)
        self._entries: dict[str, FileEntry] = {}
        self._removed: list[str] = []
        self._emptied: list[str] = []
        self._bytes = 0
        self._seen = 0

    def facts(self, digest: str, diff_id: str, packed_bytes: int) -> LayerFacts:
        return LayerFacts(
            digest,
            diff_id,
            packed_bytes,
            self._bytes,
            tuple(self._entries.values()),
            tuple(self._removed),
            tuple(self._emptied),
            self._texts.contents,
            self._texts.packages(),
            tuple(self._texts.secrets),
        )

    def add(self, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        self._seen += 1
        if self._seen > self._limits.entries:
            raise TooMuch(f"more than {self._limits.entries} entries")
        path = clean_path(member.name, self._limits.path)
        name = path.rpartition("/")[2]
        if name.startswith(WHITEOUT):
            self._whiteout(path, name)
        elif path:
            entry = self._entry(member, path, archive)
            self._names.add(path, entry.target)
            # Taken out first, so that the order is that of the last mention: a file over a link of that name.
            self._entries.pop(path, None)
            self._entries[path] = entry

    def _whiteout(self, path: str, name: str) -> None:
        parent = path[: -len(name)]
        self._names.add(path)
        if name == OPAQUE:
            self._emptied.append(parent.rstrip("/"))
        elif not name.startswith(RESERVED):
            hidden = name.removeprefix(WHITEOUT)
            if hidden in ("", ".", ".."):
                raise ProblemError("IMAGE-LAYER-PATH", path=path)
            self._removed.append(parent + hidden)

    def _entry(self, member: tarfile.TarInfo, path: str, archive: tarfile.TarFile) -> FileEntry:
        mode = member.mode & 0o7777
        if member.isreg():
            self._bytes += member.size
            head = self._look_into(member, path, mode, archive)
            return FileEntry(path, Kind.FILE, mode, member.size, member.uid, head=head)
        if member.issym():
            return FileEntry(path, Kind.SYMLINK, mode, 0, member.uid, self._target(member.linkname))
        if member.islnk():
            return self._hardlink(member, path, mode)
        kind = Kind.DIRECTORY if member.isdir() else Kind.OTHER
        return FileEntry(path, kind, mode, 0, member.uid)

    def _target(self, linkname: str) -> str:
        if len(linkname) > self._limits.path or "\0" in linkname:
            raise TooMuch(f"a link target of {len(linkname)} characters")
        return printable(linkname)

    def _hardlink(self, member: tarfile.TarInfo, path: str, mode: int) -> FileEntry:
        target = clean_path(member.linkname, self._limits.path)
        known = self._entries.get(target)
        if known is None:
            return FileEntry(path, Kind.HARDLINK, mode, 0, member.uid, target)
        self._texts.link(target, path)
        return FileEntry(path, known.kind, known.mode, known.size, known.uid, known.target, known.head)

    def _look_into(self, member: tarfile.TarInfo, path: str, mode: int, archive: tarfile.TarFile) -> str:
        """Takes of the file's content what is wanted of it, and tells what kind of program it is."""
        executable = bool(mode & 0o111)
        asked = self._texts.begin(path, member.size, executable)
        if member.issparse():
            return "sparse"
        if not (asked or executable) or not member.size:
            return ""
        file = archive.extractfile(member)
        if file is None:
            return ""
        start = file.read(min(member.size, max(asked, HEAD_BYTES if executable else 0)))
        if asked:
            self._texts.take(path, start)
        return describe_head(start[:HEAD_BYTES]) if executable else ""


def clean_path(name: str, limit: int) -> str:
    """``name`` as engines take it: from the image's root, without ``.``, ``..`` or a leading slash.

    Raises ProblemError IMAGE-LAYER-PATH if it climbs out of the image, TooMuch if it is longer than ``limit``.
    """
    if len(name) > limit:
        raise TooMuch(f"a path of {len(name)} characters")
    if "\0" in name:
        raise ProblemError("IMAGE-LAYER-PATH", path=printable(name))
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts and not name.startswith("/"):
                raise ProblemError("IMAGE-LAYER-PATH", path=printable(name))
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return printable("/".join(parts))
