"""Images put together by hand: layers as tar archives, a configuration, a manifest; pushed over the registry's API.

No engine is needed, so that even images that no builder makes can be made: hostile, damaged, for other machines.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from workers.registries.client import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, Manifest, RegistryClient


def elf(machine: int = 62, loader: str = "", kind: int = 2) -> bytes:
    """A 64-bit program as far as Linux looks at it: a header, and the loader that it names."""
    name = loader.encode() + b"\0" if loader else b""
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 0, 0, 0)
    wanted = struct.pack("<IIQQQQQQ", 3, 4, 64 + 112, 0, 0, len(name), len(name), 1) if loader else bytes(56)
    head = struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    return b"\x7fELF\x02\x01\x01" + bytes(9) + head + load + wanted + name


ELF_X86_64 = elf()
ELF_ARM64 = elf(183)


def entry(name: str, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = kind, mode, link
    return info


def file(name: str, content: bytes = b"", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, mode=mode), content


def program(name: str, content: bytes = ELF_X86_64) -> tuple[tarfile.TarInfo, bytes]:
    return file(name, content, 0o755)


def directory(name: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, kind=tarfile.DIRTYPE, mode=0o755), b""


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, kind=tarfile.SYMTYPE, mode=0o777, link=target), b""


def hardlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, kind=tarfile.LNKTYPE, link=target), b""


def tar(items: Iterable[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, content in items:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class HandMade:
    """An image to be. ``layers`` are uncompressed tar archives, lowest first; ``config`` its inner configuration."""

    layers: list[bytes] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    architecture: str = "amd64"
    created_by: list[str] = field(default_factory=list)
    media_type: str = DOCKER_MANIFEST
    diff_ids: list[str] | None = None

    def push(self, client: RegistryClient, repository: str, tag: str = "latest") -> str:
        """Push it; returns the manifest's digest."""
        blobs = [gzip.compress(layer, 1, mtime=0) for layer in self.layers]
        history = [{"created_by": "/bin/sh -c #(nop)  ENV A=b", "empty_layer": True}]
        history += [{"created_by": line} for line in self.created_by or ["COPY made by hand"] * len(blobs)]
        config = json.dumps(
            {
                "architecture": self.architecture,
                "os": "linux",
                "config": self.config,
                "history": history,
                "rootfs": {"type": "layers", "diff_ids": self.diff_ids or [digest_of(layer) for layer in self.layers]},
            }
        ).encode()
        for blob in blobs:
            client.put_blob(repository, blob)
        body = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": self.media_type,
                "config": {
                    "mediaType": DOCKER_CONFIG,
                    "digest": client.put_blob(repository, config),
                    "size": len(config),
                },
                "layers": [{"mediaType": DOCKER_LAYER, "digest": digest_of(blob), "size": len(blob)} for blob in blobs],
            }
        ).encode()
        return client.put_manifest(repository, tag, Manifest(body, self.media_type))
