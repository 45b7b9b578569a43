"""How much of a hostile image is read before it is refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """``entries``: names per image: entries, marks of removed files, and directories that only the paths of others
    tell of. ``characters``: of those names' paths and of link targets, together. ``bytes``: of the unpacked layers
    together (SageMaker's batch volume is 30 GB and must hold the image, so nothing above it can be published).
    ``layers``: what overlay file systems stack. ``header``: bytes of the extended tar headers before one entry, and of
    a layer's global ones. ``path``: characters, as in Linux. ``wanted``: bytes kept of a file whose content is
    wanted."""

    entries: int = 1_000_000
    characters: int = 128 << 20
    bytes: int = 40 << 30
    layers: int = 127
    header: int = 1 << 20
    path: int = 4096
    wanted: int = 64 << 10
    scripts: int = 2 << 20
    database: int = 16 << 20
    packages: int = 20_000
    secrets: int = 100


DEFAULT_LIMITS = Limits()
