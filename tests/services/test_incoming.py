"""Files in pieces: what counts, who may add, what two writers do, and what is dropped."""

from __future__ import annotations

import errno
import hashlib
import threading
from datetime import timedelta
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import timezone

from listings import blobs
from listings.models import Blob, IncomingUpload, Membership, Team, Upload, UploadPurpose
from listings.problems import ProblemError
from listings.services import incoming
from workers import tasks

pytestmark = pytest.mark.django_db
CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def begin(seller: Any, team: Team, size: int = len(CONTENT), sha256: str = SHA256) -> IncomingUpload:
    return incoming.begin(seller, team, UploadPurpose.ARTIFACT, "model.tar.gz", size, sha256=sha256)


def add(user: Any, row: IncomingUpload, offset: int, piece: bytes, **more: Any) -> int:
    return incoming.append(user, row, offset, BytesIO(piece), len(piece), **more)


def age(row: IncomingUpload, by: timedelta) -> None:
    IncomingUpload.objects.filter(pk=row.pk).update(expires_at=row.expires_at - by)


def test_pieces_become_an_upload_like_any_other(seller: Any, team: Team) -> None:
    row = begin(seller, team)
    assert add(seller, row, 0, CONTENT[:4000]) == 4000
    assert add(seller, row, 4000, CONTENT[4000:]) == len(CONTENT)
    upload = incoming.finish(seller, row)
    assert (upload.purpose, upload.filename, upload.user) == (UploadPurpose.ARTIFACT, "model.tar.gz", seller)
    assert (upload.blob_id, upload.blob.size) == (SHA256, len(CONTENT))
    with blobs.open_blob(SHA256) as stored:
        assert stored.read() == CONTENT
    assert list(incoming.directory().iterdir()) == []
    assert incoming.finish(seller, row) == upload  # asked again, after a broken connection perhaps
    assert Upload.objects.count() == 1


def test_the_same_bytes_are_stored_once(seller: Any, team: Team) -> None:
    blobs.store(CONTENT)
    row = begin(seller, team)
    add(seller, row, 0, CONTENT)
    assert incoming.finish(seller, row).blob_id == SHA256
    assert Blob.objects.count() == 1


def test_what_is_not_what_was_announced_is_dropped(seller: Any, team: Team) -> None:
    row = begin(seller, team)
    add(seller, row, 0, CONTENT[:-1] + b"!")
    with pytest.raises(ProblemError, match="UPLOAD-CHECKSUM"):
        incoming.finish(seller, row)
    assert not Upload.objects.exists()
    assert not IncomingUpload.objects.exists()
    assert list(incoming.directory().iterdir()) == []


def test_a_piece_counts_only_whole_and_undamaged(seller: Any, team: Team) -> None:
    row = begin(seller, team)
    with pytest.raises(ProblemError, match="UPLOAD-PIECE"):
        add(seller, row, 0, b"x" * 4000, sha256=hashlib.sha256(CONTENT[:4000]).digest())
    with pytest.raises(ProblemError, match="UPLOAD-PROTOCOL"):
        incoming.append(seller, row, 0, BytesIO(b"short"), 4000)
    row.refresh_from_db()
    assert row.offset == 0
    add(seller, row, 0, CONTENT, sha256=hashlib.sha256(CONTENT).digest())
    assert incoming.finish(seller, row).blob_id == SHA256


def test_pieces_fit_end_to_end_and_into_the_file(seller: Any, team: Team) -> None:
    row = begin(seller, team)
    add(seller, row, 0, CONTENT[:100])
    for offset in (0, 99, 101, len(CONTENT)):
        with pytest.raises(ProblemError, match="UPLOAD-OFFSET"):
            add(seller, row, offset, b"piece")
    with pytest.raises(ProblemError, match="UPLOAD-BEYOND"):
        add(seller, row, 100, CONTENT)
    with pytest.raises(ProblemError, match="UPLOAD-INCOMPLETE"):
        incoming.finish(seller, row)


def test_a_writer_that_died_leaves_nothing_that_counts(seller: Any, team: Team) -> None:
    row = begin(seller, team)
    add(seller, row, 0, CONTENT[:100])
    with incoming.path_of(row.pk).open("ab") as part:
        part.write(b"written, but the process ended before it counted" * 1000)
    add(seller, row, 100, CONTENT[100:])
    assert incoming.finish(seller, row).blob_id == SHA256


class _Blocked(BytesIO):
    """Content that comes only once another writer has tried."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.asked, self.go = threading.Event(), threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.asked.set()
        assert self.go.wait(30)
        return super().read(size)


@pytest.mark.django_db(transaction=True)
def test_two_windows_cannot_write_at_one_place(seller: Any, team: Team) -> None:
    row = begin(seller, team)
    first, outcome = _Blocked(CONTENT), []

    def send() -> None:
        try:
            outcome.append(incoming.append(seller, IncomingUpload.objects.get(pk=row.pk), 0, first, len(CONTENT)))
        finally:
            connection.close()

    thread = threading.Thread(target=send)
    thread.start()
    assert first.asked.wait(30)
    with pytest.raises(ProblemError, match="UPLOAD-BUSY"):
        add(seller, row, 0, b"y" * len(CONTENT))
    with pytest.raises(ProblemError, match="UPLOAD-BUSY"):
        incoming.finish(seller, row)
    first.go.set()
    thread.join(30)
    assert outcome == [len(CONTENT)]
    with pytest.raises(ProblemError, match="UPLOAD-OFFSET"):
        add(seller, row, 0, b"y" * len(CONTENT))
    assert incoming.finish(seller, row).blob_id == SHA256


@pytest.mark.django_db(transaction=True)
def test_a_piece_of_an_upload_that_is_cancelled_meanwhile_counts_for_nothing(seller: Any, team: Team) -> None:
    row = begin(seller, team)
    first, outcome = _Blocked(CONTENT), []

    def send() -> None:
        try:
            incoming.append(seller, IncomingUpload.objects.get(pk=row.pk), 0, first, len(CONTENT))
        except ProblemError as error:
            outcome.append(error.code)
        finally:
            connection.close()

    thread = threading.Thread(target=send)
    thread.start()
    assert first.asked.wait(30)
    incoming.cancel(seller, row)
    first.go.set()
    thread.join(30)
    assert outcome == ["UPLOAD-GONE"]
    with pytest.raises(ProblemError, match="UPLOAD-GONE"):
        add(seller, row, 0, CONTENT)
    incoming.purge()
    assert list(incoming.directory().iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_an_upload_that_has_waited_too_long_is_gone(seller: Any, team: Team) -> None:
    row, fresh = begin(seller, team), begin(seller, team)
    add(seller, row, 0, CONTENT)
    add(seller, fresh, 0, CONTENT[:10])
    row.refresh_from_db()
    age(row, incoming.LIFETIME)
    for act in (lambda: add(seller, row, 0, b"x"), lambda: incoming.finish(seller, row)):
        with pytest.raises(ProblemError, match="UPLOAD-GONE"):
            act()
    tasks.tick()
    assert IncomingUpload.objects.get() == fresh
    assert [path.stem for path in incoming.directory().iterdir()] == [str(fresh.pk)]


def test_a_piece_prolongs_the_life_of_its_upload(seller: Any, team: Team) -> None:
    row = begin(seller, team)
    age(row, timedelta(hours=23))
    add(seller, row, 0, CONTENT[:10])
    row.refresh_from_db()
    assert row.expires_at > timezone.now() + timedelta(hours=23)


def test_a_teams_uploads_under_way_are_bounded(seller: Any, team: Team, settings: Any) -> None:
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"upload_max_bytes": 1000})
    rows = [begin(seller, team, 1000) for _ in range(incoming.OPEN_LARGEST)]
    with pytest.raises(ProblemError, match="UPLOAD-TOO-MANY"):
        begin(seller, team, 1)
    age(rows[0], incoming.IDLE + timedelta(minutes=2))
    age(rows[1], incoming.IDLE + timedelta(minutes=1))
    made = begin(seller, team, 500)  # in the place of the one that has been idle longest
    assert set(IncomingUpload.objects.all()) == {*rows[1:], made}
    with pytest.raises(ProblemError, match="UPLOAD-TOO-LARGE"):
        begin(seller, team, 1001)
    with pytest.raises(ProblemError, match="UPLOAD-EMPTY"):
        begin(seller, team, 0)


def test_a_full_disk_keeps_what_has_arrived(seller: Any, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    row = begin(seller, team)
    add(seller, row, 0, CONTENT[:100])

    class Full(FileIO):
        def write(self, data: Any) -> int:
            super().write(bytes(data)[:7])
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(incoming, "FileIO", Full)
        with pytest.raises(ProblemError, match="UPLOAD-NO-SPACE"):
            add(seller, row, 100, CONTENT[100:])
    assert incoming.path_of(row.pk).stat().st_size == 100
    add(seller, row, 100, CONTENT[100:])
    assert incoming.finish(seller, row).blob_id == SHA256


def test_a_file_for_which_there_is_no_room_is_refused_at_once(
    seller: Any, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10}))
    with pytest.raises(ProblemError, match="UPLOAD-NO-SPACE"):
        begin(seller, team)


def test_bytes_that_storage_lost_make_no_upload(seller: Any, team: Team) -> None:
    row = begin(seller, team, sha256="")
    add(seller, row, 0, CONTENT)
    incoming.path_of(row.pk).unlink()
    with pytest.raises(ProblemError, match="UPLOAD-GONE"):
        incoming.finish(seller, row)
    assert not Blob.objects.exists()


def test_only_its_sender_adds_to_an_upload_and_only_as_a_developer(seller: Any, team: Team, make_user: Any) -> None:
    row, colleague = begin(seller, team), make_user("carl")
    Membership.objects.create(team=team, user=colleague, role="developer")
    for user in (colleague, make_user("otto")):
        with pytest.raises(PermissionDenied):
            add(user, row, 0, CONTENT)
        with pytest.raises(PermissionDenied):
            incoming.cancel(user, row)
    Membership.objects.filter(user=seller).update(role="viewer")
    with pytest.raises(PermissionDenied):
        add(seller, row, 0, CONTENT)


def test_adopting_replaces_a_file_that_is_half_there(seller: Any, team: Team, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(CONTENT)
    half = Path(blobs.default_storage.path(blobs.path_of(SHA256)))
    half.parent.mkdir(parents=True)
    half.write_bytes(CONTENT[:5])
    assert blobs.adopt(part, SHA256, len(CONTENT)).size == len(CONTENT)
    assert half.read_bytes() == CONTENT
