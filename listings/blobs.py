"""Large things in Django storage, named by their SHA-256. Storing the same bytes twice stores them once."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import uuid
from io import BytesIO
from pathlib import Path
from typing import IO

from django.core.files import File
from django.core.files.storage import default_storage
from django.db.models import ProtectedError

from listings import mishaps
from listings.models import Blob

CHUNK = 1 << 20


def path_of(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


def store(content: bytes | IO[bytes]) -> Blob:
    """Store ``content`` (bytes, or a binary file read from its current position to the end).

    Raises ProblemError PLATFORM-DISK-FULL; nothing is stored then.
    """
    try:
        return _store(content)
    except OSError as error:
        raise mishaps.problem_of(error) or error from error


def _store(content: bytes | IO[bytes]) -> Blob:
    source = BytesIO(content) if isinstance(content, bytes) else content
    digest, size = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as spool:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            spool.write(chunk)
            size += len(chunk)
        spool.seek(0)
        sha256 = digest.hexdigest()
        _keep(spool, path_of(sha256), size)
    blob, _ = mishaps.outlast(lambda: Blob.objects.get_or_create(sha256=sha256, defaults={"size": size}))
    return blob


def discard(sha256: str) -> bool:
    """Remove a blob that nothing names any more. Only for bytes that nobody else can be storing at this moment,
    such as an attempt's log. Returns whether it went."""
    try:
        gone, _ = Blob.objects.filter(sha256=sha256).delete()
    except ProtectedError:
        return False
    if gone:
        default_storage.delete(path_of(sha256))
    return bool(gone)


def _keep(spool: IO[bytes], name: str, size: int) -> None:
    """Put a file under its name whole or not at all: one that a killed process left half-written is replaced."""
    try:
        path = Path(default_storage.path(name))
    except NotImplementedError:  # object storage shows an object only once it is whole
        if not default_storage.exists(name):
            default_storage.save(name, File(spool))
        return
    if path.is_file() and path.stat().st_size == size:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as part:
        try:
            shutil.copyfileobj(spool, part, CHUNK)
            part.flush()
            os.fsync(part.fileno())
            Path(part.name).chmod(0o644)
            Path(part.name).replace(path)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise


def adopt(part: Path, sha256: str, size: int) -> Blob:
    """Store a finished file under its SHA-256 without reading it again. ``part`` stays; its ``size`` is in bytes."""
    try:
        path = Path(default_storage.path(path_of(sha256)))
    except NotImplementedError:
        with part.open("rb") as content:
            _keep(content, path_of(sha256), size)
    else:
        if not path.is_file() or path.stat().st_size != size:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{uuid.uuid4().hex}")
            try:
                os.link(part, fresh)
            except OSError:  # storage that knows no links
                shutil.copyfile(part, fresh)
            fresh.chmod(0o644)
            fresh.replace(path)
    blob, _ = Blob.objects.get_or_create(sha256=sha256, defaults={"size": size})
    return blob


def open_blob(sha256: str) -> IO[bytes]:
    """A binary file open for reading. Raises FileNotFoundError if storage has lost it."""
    return default_storage.open(path_of(sha256), "rb")  # type: ignore[return-value]
