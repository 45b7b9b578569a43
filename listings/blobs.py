"""Large things in Django storage, named by their SHA-256. Storing the same bytes twice stores them once."""

from __future__ import annotations

import hashlib
import tempfile
from io import BytesIO
from typing import IO

from django.core.files import File
from django.core.files.storage import default_storage

from listings.models import Blob

CHUNK = 1 << 20


def path_of(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


def store(content: bytes | IO[bytes]) -> Blob:
    """Store ``content`` (bytes, or a binary file read from its current position to the end)."""
    source = BytesIO(content) if isinstance(content, bytes) else content
    digest, size = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as spool:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            spool.write(chunk)
            size += len(chunk)
        spool.seek(0)
        sha256 = digest.hexdigest()
        if not default_storage.exists(path_of(sha256)):
            default_storage.save(path_of(sha256), File(spool))
    blob, _ = Blob.objects.get_or_create(sha256=sha256, defaults={"size": size})
    return blob


def open_blob(sha256: str) -> IO[bytes]:
    """A binary file open for reading. Raises FileNotFoundError if storage has lost it."""
    return default_storage.open(path_of(sha256), "rb")  # type: ignore[return-value]
