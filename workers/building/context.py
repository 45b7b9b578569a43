"""The build context: the source archive as the engine's build call takes it.

The engine leaves .dockerignore to its clients, so it is applied here, with the docker SDK's own matcher.
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from docker.utils.build import PatternMatcher

from listings.problems import ProblemError

#: A Dockerfile or .dockerignore larger than this is none.
MAX_TEXT = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """What a look through the archive found."""

    dockerfile: bytes
    ignore: tuple[str, ...]


def read_source(archive: IO[bytes], path: str) -> Source:
    """Find the Dockerfile ``path`` and .dockerignore. Raises ProblemError BUILD-NO-DOCKERFILE."""
    wanted = normalise(path)
    own_ignore = f"{wanted}.dockerignore"
    texts: dict[str, bytes] = {}
    found: list[str] = []
    with tarfile.open(fileobj=archive, mode="r|gz") as members:
        for member in members:
            name = normalise(member.name)
            base = posixpath.basename(name).lower()
            if member.isfile() and (base.startswith("dockerfile") or base.endswith(".dockerfile")):
                found.append(name)
            if member.isfile() and name in (wanted, own_ignore, ".dockerignore"):
                reader = members.extractfile(member)
                texts[name] = reader.read(MAX_TEXT) if reader else b""
    if wanted not in texts:
        raise ProblemError("BUILD-NO-DOCKERFILE", path=path, found=", ".join(sorted(found)[:10]) or "none")
    ignore = texts.get(own_ignore, texts.get(".dockerignore", b"")).decode("utf-8-sig", "replace")
    lines = (line.strip() for line in ignore.splitlines())
    return Source(texts[wanted], tuple(line for line in lines if line and not line.startswith("#")))


def write_context(archive: IO[bytes], source: Source, dockerfile: str, target: Path, check: Callable[[], None]) -> int:
    """Write the context as an uncompressed tar to ``target``; returns how many entries were left out.

    ``check`` is called for each entry and may raise to stop.
    """
    # Typed as taking a path by its stubs, yet it matches text only.
    matcher: Any = PatternMatcher(list(source.ignore))
    keep = {normalise(dockerfile), ".dockerignore"}
    dropped = 0
    with tarfile.open(fileobj=archive, mode="r|gz") as members, tarfile.open(target, "w") as output:
        for member in members:
            check()
            name = normalise(member.name)
            if name not in keep and matcher.matches(name):
                dropped += 1
                continue
            content = members.extractfile(member) if member.isfile() else None
            output.addfile(member, content)
    return dropped


def normalise(path: str) -> str:
    return posixpath.normpath(path).lstrip("/")
