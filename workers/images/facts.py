"""What is known of one layer: plain data, which depends on its bytes alone and so may be kept under their digest."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from workers.images import packages
from workers.images.packages import Package

#: Part of the cache's file name: raise it whenever what is recorded of a layer changes.
FORMAT = 2


class Kind(StrEnum):
    FILE = "f"
    DIRECTORY = "d"
    SYMLINK = "l"
    HARDLINK = "h"  # to a file of a lower layer; one within the layer is recorded as the file itself
    OTHER = "o"  # devices, pipes


@dataclass(frozen=True, slots=True)
class FileEntry:
    """``path`` from the image's root, without a leading slash. ``size`` in bytes. ``head`` tells what an executable
    file is, as ``heads.describe_head`` puts it."""

    path: str
    kind: Kind
    mode: int
    size: int = 0
    uid: int = 0
    target: str = ""
    head: str = ""

    @property
    def executable(self) -> bool:
        return self.kind is Kind.FILE and bool(self.mode & 0o111)

    def as_json(self) -> list[Any]:
        return [self.path, self.kind.value, self.mode, self.size, self.uid, self.target, self.head]

    @classmethod
    def from_json(cls, row: list[Any]) -> FileEntry:
        path, kind, mode, size, uid, target, head = row
        return cls(path, Kind(kind), mode, size, uid, target, head)


@dataclass(frozen=True, slots=True)
class FileSecret:
    """A credential in a file: ``what`` it is, ``certain`` by its shape or only by its name."""

    path: str
    line: int
    what: str
    certain: bool


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """``removed``: paths that lower layers had and the image has not. ``emptied``: directories whose lower content is
    hidden. ``contents``: text of the few files that are wanted. ``bytes``: sum of the file sizes. ``packages``: those
    whose files the layer brings. ``secrets``: plaintext credentials found in its files, without their values."""

    digest: str
    diff_id: str
    bytes_compressed: int
    bytes: int
    entries: tuple[FileEntry, ...] = ()
    removed: tuple[str, ...] = ()
    emptied: tuple[str, ...] = ()
    contents: dict[str, str] = field(default_factory=dict)
    packages: tuple[Package, ...] = ()
    secrets: tuple[FileSecret, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "digest": self.digest,
            "diff_id": self.diff_id,
            "bytes_compressed": self.bytes_compressed,
            "bytes": self.bytes,
            "entries": [entry.as_json() for entry in self.entries],
            "removed": list(self.removed),
            "emptied": list(self.emptied),
            "contents": self.contents,
            "packages": packages.as_json(self.packages),
            "secrets": [[secret.path, secret.line, secret.what, secret.certain] for secret in self.secrets],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> LayerFacts:
        """Raises KeyError, TypeError or ValueError for what ``as_json`` did not write."""
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']}")
        return cls(
            data["digest"],
            data["diff_id"],
            data["bytes_compressed"],
            data["bytes"],
            tuple(FileEntry.from_json(row) for row in data["entries"]),
            tuple(data["removed"]),
            tuple(data["emptied"]),
            dict(data["contents"]),
            packages.from_json(data["packages"]),
            tuple(FileSecret(path, line, what, certain) for path, line, what, certain in data["secrets"]),
        )
