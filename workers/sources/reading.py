"""Reading out of the normalised archive that ``fetch`` stored (``facts["fetch"]["archive_sha256"]``).

Every function takes the archive as a binary file at its start and reads it once, as a stream:

    with blobs.open_blob(sha256) as archive:
        for name, content, size in extract_tree(archive, "sample/train"):
            ...  # read content before going on; name is relative to the path

Names come out clean (relative, without ``..``) and only regular files are given, so they may be joined to a
directory. Links are never followed.
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from typing import IO, Any, cast

from listings.problems import ProblemError
from workers.sources.names import clean


def extract_tree(archive: IO[bytes], path: str) -> Iterator[tuple[str, IO[bytes], int]]:
    """(relative name, content, size in bytes) of the file at ``path``, or of every file below the directory.

    The relative name of a file is its last part; ``path`` "." is the whole source. Nothing is given when there
    is no such path: callers that need one check that. ``content`` is valid until the next item is asked for.
    """
    wanted = posixpath.normpath(path)
    below = "" if wanted == "." else f"{wanted}/"
    for name, content, size in files(archive):
        if name == wanted:
            yield posixpath.basename(name), content, size
        elif name.startswith(below):
            yield name[len(below) :], content, size


def read_file(archive: IO[bytes], path: str, limit: int) -> bytes | None:
    """The content of the file at ``path``: at most ``limit`` + 1 bytes of it, None if there is no such file."""
    wanted = posixpath.normpath(path)
    for name, content, _size in files(archive):
        if name == wanted:
            return content.read(limit + 1)
    return None


def files(archive: IO[bytes]) -> Iterator[tuple[str, IO[bytes], int]]:
    """(name, content, size in bytes) of every file in the source; ``content`` as in ``extract_tree``."""
    with tarfile.open(fileobj=archive, mode="r|gz") as opened:
        for entry in opened:
            # A stream never goes back, so tarfile's memory of earlier members is of no use.
            cast("Any", opened).members = []
            if not entry.isreg():
                continue
            try:
                name = clean(entry.name)
            except ProblemError:
                continue
            content = opened.extractfile(entry)
            if content is not None:
                yield name, content, entry.size
