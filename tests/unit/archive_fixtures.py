"""Archives made by hand, good and hostile."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.sources.archive import Normalised, normalise
from workers.sources.members import Limits

LIMITS = Limits(bytes=10 << 20, files=1000, ratio=50, ratio_floor=1 << 20)


def tar(*entries: tarfile.TarInfo | tuple[str, bytes] | tuple[str, bytes, int], packed: bool = True) -> bytes:
    """A tar (gzip unless ``packed`` is False) of (name, content[, mode]) pairs and ready entries."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
                continue
            info = tarfile.TarInfo(entry[0])
            info.size, info.mode = len(entry[1]), entry[2] if len(entry) > 2 else 0o644
            info.mtime, info.uid, info.uname = 1_700_000_000, 1000, "somebody"
            archive.addfile(info, io.BytesIO(entry[1]))
    return gzip.compress(target.getvalue(), mtime=0) if packed else target.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def link(name: str, target: str) -> tarfile.TarInfo:
    return special(name, tarfile.SYMTYPE, target)


def hard(name: str, target: str) -> tarfile.TarInfo:
    return special(name, tarfile.LNKTYPE, target)


def zipped(files: Mapping[str, bytes], modes: Mapping[str, int] | None = None, system: int = 3) -> bytes:
    """A zip; ``modes`` are whole Unix modes (type and permissions)."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.create_system = system
            mode = (modes or {}).get(name, 0 if system == 0 else stat.S_IFREG | 0o644)
            info.external_attr = mode << 16 | 0x20  # DOS's archive bit; zero would be filled in by zipfile
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return target.getvalue()


def normal(content: bytes, folder: Path, limits: Limits = LIMITS, **more: Any) -> tuple[Normalised, bytes]:
    """What normalising ``content`` gives: the description, and the bytes of the archive."""
    target = folder / "normal.tar.gz"
    found = normalise(io.BytesIO(content), len(content), target, limits, **more)
    return found, target.read_bytes()


def listing_of(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        return {entry.name: entry for entry in opened}
