"""Files that arrive in pieces: opened, added to, finished or dropped.

The bytes of one lie in one file below ``MEDIA_ROOT/incoming``. A lock on that file keeps writers apart, and the row's
``offset`` says how much of it counts: what a writer that died has left behind it is written over. S3 or not, the
pieces need this shared directory; only a finished file goes to storage.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import FileIO
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone

from listings import blobs
from listings.access import Permission, require
from listings.models import IncomingUpload, Team, Upload, UploadPurpose
from listings.problems import ProblemError

logger = logging.getLogger(__name__)

#: How long an upload waits for its next piece, and after what time it makes room for another.
LIFETIME, IDLE = timedelta(hours=24), timedelta(hours=1)
#: What a team may have under way: as many of the largest files, and as many files.
OPEN_LARGEST, OPEN_FILES = 4, 100
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def directory() -> Path:
    return Path(settings.MEDIA_ROOT) / "incoming"


def path_of(key: UUID) -> Path:
    return directory() / f"{key}.part"


@transaction.atomic
def begin(
    user: Any, team: Team, purpose: UploadPurpose, filename: str, size: int, *, sha256: str = ""
) -> IncomingUpload:
    """Announce a file. ``size`` in bytes; ``sha256`` (lower-case hex) is what the whole must have, if it is known.

    Raises ProblemError UPLOAD-TOO-LARGE, UPLOAD-EMPTY, UPLOAD-TOO-MANY or UPLOAD-NO-SPACE.
    """
    require(user, Permission.DEVELOP, team)
    limit = settings.SLIPWAY.upload_max_bytes
    if size > limit:
        raise ProblemError("UPLOAD-TOO-LARGE", filename=filename, size=size, limit=limit)
    if size <= 0:
        raise ProblemError("UPLOAD-EMPTY", filename=filename)
    directory().mkdir(mode=0o700, parents=True, exist_ok=True)
    if shutil.disk_usage(directory()).free < size:
        raise ProblemError("UPLOAD-NO-SPACE", filename=filename)
    _make_room(team, size)
    return IncomingUpload.objects.create(
        team=team, user=user, purpose=purpose, filename=filename[-255:], size=size, sha256=sha256,
        expires_at=timezone.now() + LIFETIME,
    )  # fmt: skip


def _make_room(team: Team, size: int) -> None:
    """Keep the team within its bounds, at the cost of uploads to which nothing is added any more."""
    # Two windows that announce at the same moment must not both see the room that is left.
    Team.objects.filter(pk=team.pk).update(slug=F("slug"))
    limit = OPEN_LARGEST * settings.SLIPWAY.upload_max_bytes
    now = timezone.now()
    under_way = IncomingUpload.objects.filter(team=team, upload=None, expires_at__gt=now)
    idle = list(under_way.filter(expires_at__lt=now + LIFETIME - IDLE).order_by("-expires_at"))
    while True:
        taken = under_way.aggregate(bytes=Sum("size"))["bytes"] or 0
        if taken + size <= limit and under_way.count() < OPEN_FILES:
            return
        if not idle:
            raise ProblemError("UPLOAD-TOO-MANY", team=team.name, open=taken, limit=limit)
        IncomingUpload.objects.filter(pk=idle.pop().pk).delete()  # its bytes go with the next purge


def append(
    user: Any, incoming: IncomingUpload, offset: int, content: IO[bytes], length: int, *, sha256: bytes | None = None
) -> int:
    """Add ``length`` bytes of ``content`` at ``offset``; the new offset. ``sha256`` is the digest of these bytes.

    They are on disk before they count. Raises ProblemError UPLOAD-OFFSET, UPLOAD-BEYOND, UPLOAD-BUSY, UPLOAD-GONE,
    UPLOAD-PIECE, UPLOAD-PROTOCOL (fewer bytes came) or UPLOAD-NO-SPACE.
    """
    _require_sender(user, incoming)
    with _alone(incoming) as part:
        if offset != incoming.offset:
            raise ProblemError("UPLOAD-OFFSET", offset=offset, arrived=incoming.offset)
        if length > incoming.size - offset:
            raise ProblemError("UPLOAD-BEYOND", length=length, size=incoming.size)
        try:
            digest = _write(part, offset, content, length)
        except OSError as error:
            part.truncate(offset)
            if error.errno not in _NO_ROOM:
                raise
            raise ProblemError("UPLOAD-NO-SPACE", filename=incoming.filename) from error
        if sha256 is not None and digest != sha256:
            raise ProblemError("UPLOAD-PIECE")
        moved = IncomingUpload.objects.filter(pk=incoming.pk, offset=offset, upload=None).update(
            offset=offset + length, expires_at=timezone.now() + LIFETIME
        )
        if not moved:  # cancelled while its piece was written
            raise _gone(incoming)
    incoming.refresh_from_db()
    return incoming.offset


def _write(part: FileIO, offset: int, content: IO[bytes], length: int) -> bytes:
    digest, left = hashlib.sha256(), length
    part.seek(offset)
    while left:
        chunk = content.read(min(left, blobs.CHUNK))
        if not chunk:
            raise ProblemError("UPLOAD-PROTOCOL", detail=f"{length} bytes were announced, {length - left} came")
        digest.update(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[part.write(rest) :]
        left -= len(chunk)
    os.fsync(part.fileno())
    return digest.digest()


def finish(user: Any, incoming: IncomingUpload) -> Upload:
    """Turn a file that has arrived into an upload; asked again, the same one.

    Raises ProblemError UPLOAD-INCOMPLETE, UPLOAD-BUSY, UPLOAD-GONE, or UPLOAD-CHECKSUM, which drops it.
    """
    _require_sender(user, incoming)
    with _alone(incoming) as part:
        if incoming.upload is not None:
            return incoming.upload
        if incoming.offset != incoming.size:
            raise ProblemError(
                "UPLOAD-INCOMPLETE", offset=incoming.offset, size=incoming.size, filename=incoming.filename
            )
        if os.fstat(part.fileno()).st_size < incoming.size:  # storage has lost it
            _drop(incoming)
            raise _gone(incoming)
        part.truncate(incoming.size)
        part.seek(0)
        digest = hashlib.file_digest(part, "sha256").hexdigest()
        if incoming.sha256 and digest != incoming.sha256:
            _drop(incoming)
            raise ProblemError("UPLOAD-CHECKSUM", filename=incoming.filename, declared=incoming.sha256, found=digest)
        blob = blobs.adopt(path_of(incoming.pk), digest, incoming.size)
        with transaction.atomic():
            upload = Upload.objects.create(
                team=incoming.team, user=user, purpose=incoming.purpose, filename=incoming.filename, blob=blob
            )
            rows = IncomingUpload.objects.filter(pk=incoming.pk, upload=None)
            if not rows.update(upload=upload, expires_at=timezone.now() + LIFETIME):
                raise _gone(incoming)
        path_of(incoming.pk).unlink(missing_ok=True)
    return upload


def require_alive(incoming: IncomingUpload) -> None:
    """Raises ProblemError UPLOAD-GONE for one that has waited too long."""
    if incoming.expires_at <= timezone.now():
        raise _gone(incoming)


def cancel(user: Any, incoming: IncomingUpload) -> None:
    """Drop what has arrived. One that is an upload already stays one."""
    _require_sender(user, incoming)
    _drop(incoming)


def _drop(incoming: IncomingUpload) -> None:
    # The row first: a writer that is at work then finds that its piece counts for nothing.
    IncomingUpload.objects.filter(pk=incoming.pk).delete()
    path_of(incoming.pk).unlink(missing_ok=True)


def purge() -> int:
    """Drop what has waited too long, and files that belong to none. Returns how many files were removed."""
    IncomingUpload.objects.filter(expires_at__lte=timezone.now()).delete()
    if not directory().is_dir():
        return 0
    # A file is made after its row, so one that is seen before the rows are read and has none will have none.
    files = {path.stem: path for path in directory().glob("*.part")}
    if not files:
        return 0
    alive = {str(key) for key in IncomingUpload.objects.filter(upload=None).values_list("pk", flat=True)}
    stray = [path for key, path in files.items() if key not in alive]
    for path in stray:
        path.unlink(missing_ok=True)
    if stray:
        logger.info("%d incoming files were dropped", len(stray))
    return len(stray)


def _require_sender(user: Any, incoming: IncomingUpload) -> None:
    require(user, Permission.DEVELOP, incoming.team)
    if user.pk != incoming.user_id:
        raise PermissionDenied("Somebody else is sending this file.")


@contextmanager
def _alone(incoming: IncomingUpload) -> Iterator[FileIO]:
    """The file of ``incoming``, which nobody else writes meanwhile; the row is read anew.

    Raises ProblemError UPLOAD-BUSY or UPLOAD-GONE. The lock ends with its process, however that ends.
    """
    directory().mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileIO(os.open(path_of(incoming.pk), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProblemError("UPLOAD-BUSY") from None
        try:
            incoming.refresh_from_db()
        except IncomingUpload.DoesNotExist:
            raise _gone(incoming) from None
        require_alive(incoming)
        yield part


def _gone(incoming: IncomingUpload) -> ProblemError:
    return ProblemError("UPLOAD-GONE", filename=incoming.filename, hours=int(LIFETIME.total_seconds() // 3600))
