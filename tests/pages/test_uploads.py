"""The tus protocol as a client speaks it, and as a hostile one does."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from listings.models import IncomingUpload, Role, Team, Upload
from listings.services import teams
from portal import asgi
from tests.asynchronous import run_async

pytestmark = pytest.mark.django_db
CONTENT = b"the layers of a tree" * 500
PIECE = "application/offset+octet-stream"
NOT_UTF8 = b"\xff\xfe"


def b64(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def metadata(**values: str) -> str:
    return ",".join(f"{key} {b64(value)}" for key, value in values.items())


class Tus:
    """A client of the protocol."""

    def __init__(self, client: Client, team: Team) -> None:
        self.client, self.base = client, f"/t/{team.slug}/uploads/tus/"

    def ask(self, method: str, path: str = "", data: bytes = b"", **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(
            method, path or self.base, data, content_type=named.pop("Content-Type", PIECE if data else ""),
            headers={"Tus-Resumable": "1.0.0", **named},
        )  # fmt: skip

    def begin(self, data: bytes = b"", size: int = len(CONTENT), **more: str) -> Any:
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        meta = metadata(**{"filename": "source.zip", "purpose": "source", "sha256": sha256, **more})
        return self.ask("POST", data=data, Upload_Length=str(size), Upload_Metadata=meta)

    def add(self, path: str, offset: int, piece: bytes, **headers: str) -> Any:
        return self.ask("PATCH", path, piece, Upload_Offset=str(offset), **headers)


@pytest.fixture
def tus(signed_in: Client, team: Team) -> Tus:
    return Tus(signed_in, team)


def test_what_is_offered(tus: Tus, settings: Any) -> None:
    answer = tus.ask("OPTIONS")
    assert answer.status_code == 204
    assert answer["Tus-Version"] == "1.0.0"
    assert answer["Tus-Max-Size"] == str(settings.SLIPWAY.upload_max_bytes)
    assert "checksum" in answer["Tus-Extension"]
    assert answer["Tus-Checksum-Algorithm"] == "sha256"


def test_a_file_in_pieces(tus: Tus) -> None:
    made = tus.begin()
    assert made.status_code == 201
    path = made["Location"]
    assert made["Upload-Offset"] == "0"
    for offset in range(0, len(CONTENT), 3000):
        piece = CONTENT[offset : offset + 3000]
        answer = tus.add(path, offset, piece, Upload_Checksum=f"sha256 {b64(hashlib.sha256(piece).digest())}")
        assert answer.status_code == 204
        assert answer["Upload-Offset"] == str(offset + len(piece))
        head = tus.ask("HEAD", path)
        assert (head.status_code, head["Upload-Offset"]) == (200, answer["Upload-Offset"])
        assert (head["Upload-Length"], head["Cache-Control"]) == (str(len(CONTENT)), "no-store")
        assert head["Upload-Expires"].endswith("GMT")
    kept = tus.client.post(f"{path}finish/").json()
    upload = Upload.objects.get()
    assert kept == {"id": str(upload.pk), "filename": "source.zip", "size": len(CONTENT), "sha256": upload.blob_id}
    assert tus.client.post(f"{path}finish/").json() == kept


def test_a_small_file_travels_with_its_announcement(tus: Tus) -> None:
    made = tus.begin(CONTENT)
    assert (made.status_code, made["Upload-Offset"]) == (201, str(len(CONTENT)))
    assert tus.client.post(f"{made['Location']}finish/").status_code == 200


def test_how_far_it_is_can_be_read_without_the_protocol(tus: Tus) -> None:
    path = tus.begin(CONTENT[:50])["Location"]
    assert tus.client.get(path).json() == {"filename": "source.zip", "size": len(CONTENT), "offset": 50}


@pytest.mark.parametrize("version", ["", "0.2.2", "2.0.0"])
def test_another_version_of_the_protocol_is_refused(tus: Tus, version: str) -> None:
    answer = tus.ask("POST", Tus_Resumable=version)
    assert (answer.status_code, answer["Tus-Version"]) == (412, "1.0.0")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "UPLOAD-PROTOCOL"),
        ({"Upload_Length": "-1"}, "UPLOAD-PROTOCOL"),
        ({"Upload_Length": "١٢"}, "UPLOAD-PROTOCOL"),
        ({"Upload_Length": "9" * 16}, "UPLOAD-PROTOCOL"),
        ({"Upload_Length": "5", "Upload_Metadata": metadata(purpose="hoard")}, "UPLOAD-PROTOCOL"),
        ({"Upload_Length": "5", "Upload_Metadata": "purpose ???"}, "UPLOAD-PROTOCOL"),
        ({"Upload_Length": "5", "Upload_Metadata": f"purpose {b64(NOT_UTF8)}"}, "UPLOAD-PROTOCOL"),
        ({"Upload_Length": "5", "Upload_Metadata": metadata(purpose="source", sha256="beef")}, "UPLOAD-PROTOCOL"),
        ({"Upload_Length": "0", "Upload_Metadata": metadata(purpose="source")}, "UPLOAD-EMPTY"),
        ({"Upload_Length": "999999999999999", "Upload_Metadata": metadata(purpose="source")}, "UPLOAD-TOO-LARGE"),
    ],
)
def test_announcements_that_make_no_sense(tus: Tus, headers: dict[str, str], code: str) -> None:
    answer = tus.ask("POST", **{"Upload_Metadata": metadata(purpose="source"), **headers})
    assert answer.status_code in (400, 413, 422)
    assert answer.json()["code"] == code
    assert not IncomingUpload.objects.exists()


def test_a_name_loses_its_directories_and_control_characters(tus: Tus) -> None:
    tus.begin(filename="../../etc/a\0b\r\nc\u202e" + "x" * 300)
    name = IncomingUpload.objects.get().filename
    assert len(name) == 255
    assert name.isprintable()
    assert "/" not in name


def test_pieces_that_do_not_fit(tus: Tus) -> None:
    path = tus.begin(CONTENT[:100])["Location"]
    assert tus.add(path, 0, b"x").status_code == 409
    assert tus.add(path, 5000, b"x").json()["code"] == "UPLOAD-OFFSET"
    assert tus.add(path, 100, CONTENT).json()["code"] == "UPLOAD-BEYOND"
    assert tus.add(path, 100, b"x", Content_Type="text/plain").status_code == 415
    assert tus.ask("PATCH", path, b"x").status_code == 400
    damaged = tus.add(path, 100, CONTENT[100:], Upload_Checksum=f"sha256 {b64(b'0' * 32)}")
    assert (damaged.status_code, damaged.json()["code"]) == (460, "UPLOAD-PIECE")
    for checksum in ("md5 AAAA", "sha256 AAAA", "sha256", f"sha256 {'?' * 44}"):
        assert tus.add(path, 100, CONTENT[100:], Upload_Checksum=checksum).status_code == 400
    assert tus.ask("HEAD", path)["Upload-Offset"] == "100"
    assert tus.client.post(f"{path}finish/").json()["code"] == "UPLOAD-INCOMPLETE"


def test_a_piece_is_bounded_before_it_is_read(tus: Tus, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    path = tus.begin()["Location"]
    answer = tus.add(path, 0, b"x" * 1001)
    assert (answer.status_code, answer.json()["code"]) == (413, "UPLOAD-PIECE-SIZE")
    assert tus.add(path, 0, b"x" * 1000).status_code == 204


def _over_asgi(path: str, cookie: str, headers: dict[str, str], *body: bytes) -> list[dict[str, Any]]:
    """One request as the server hands it over: what is announced and what comes need not agree."""
    sent: list[dict[str, Any]] = []
    pieces = [{"type": "http.request", "body": piece, "more_body": True} for piece in body]
    messages = iter([*pieces, {"type": "http.request", "body": b"", "more_body": False}])
    named = {"host": "testserver", "cookie": cookie, "tus-resumable": "1.0.0", "content-type": PIECE, **headers}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "PATCH", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
        "server": ("testserver", 80), "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }  # fmt: skip

    async def receive() -> Any:
        for message in messages:
            return message
        return await asyncio.Future()  # the client stays on the line

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    run_async(asgi.application(scope, receive, send))
    return sent


@pytest.mark.django_db(transaction=True)
def test_a_length_that_lies_adds_nothing(tus: Tus) -> None:
    path = tus.begin()["Location"]
    token = tus.client.get("/account/profile/").cookies["csrftoken"].value
    cookie = f"sessionid={tus.client.cookies['sessionid'].value}; csrftoken={token}"
    for length, body, status in (
        ("4000", [b"five!"], 400),
        ("", [b"five!"], 400),
        (str(1 << 40), [b"five!"], 413),
        ("5", [b"x" * (1 << 20)] * 12, 413),
    ):
        headers = {"content-length": length, "upload-offset": "0", "x-csrftoken": token}
        answer = _over_asgi(path, cookie, headers, *body)
        assert answer[0]["status"] == status, length
        assert tus.ask("HEAD", path)["Upload-Offset"] == "0"
    fits = _over_asgi(path, cookie, {"content-length": "5", "upload-offset": "0", "x-csrftoken": token}, CONTENT[:5])
    assert fits[0]["status"] == 204


def test_what_arrives_otherwise_than_announced_is_told_and_dropped(tus: Tus) -> None:
    path = tus.begin(b"!" + CONTENT[1:])["Location"]
    answer = tus.client.post(f"{path}finish/")
    assert (answer.status_code, answer.json()["code"]) == (422, "UPLOAD-CHECKSUM")
    assert tus.ask("HEAD", path).status_code == 404
    assert not Upload.objects.exists()


def test_a_cancelled_upload_is_not_there(tus: Tus) -> None:
    path = tus.begin(CONTENT[:9])["Location"]
    assert tus.ask("DELETE", path).status_code == 204
    assert tus.ask("HEAD", path).status_code == 404
    assert tus.add(path, 9, CONTENT[9:]).status_code == 404


def test_an_upload_that_waited_too_long_is_gone(tus: Tus) -> None:
    path = tus.begin(CONTENT)["Location"]
    IncomingUpload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert tus.ask("HEAD", path).status_code == 410
    assert tus.add(path, 9, b"x").status_code == 410
    assert tus.client.post(f"{path}finish/").json()["code"] == "UPLOAD-GONE"


def test_another_teams_upload_is_not_found_and_a_colleagues_is_refused(tus: Tus, make_user: Any, team: Team) -> None:
    path = tus.begin(CONTENT[:9])["Location"]
    other, colleague = make_user("olga"), make_user("carl")
    elsewhere = teams.create_team(other, "Elsewhere")
    team.memberships.create(user=colleague, role=Role.DEVELOPER)
    for user, status in ((other, 404), (colleague, 403)):
        tus.client.force_login(user)
        assert tus.add(path, 9, b"x").status_code == status
        assert tus.ask("HEAD", path).status_code == status
        assert tus.ask("DELETE", path).status_code == status
        assert tus.client.post(f"{path}finish/").status_code == status
    tus.client.force_login(other)
    under_own = path.replace(team.slug, elsewhere.slug)
    assert tus.add(under_own, 9, b"x").status_code == 404
    assert IncomingUpload.objects.get().offset == 9


def test_pieces_need_the_pages_own_token(seller: Any, team: Team) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(seller)
    assert Tus(client, team).begin().status_code == 403
    token = client.get("/account/profile/").cookies["csrftoken"].value
    strict = Tus(client, team)
    headers = {"X_CSRFToken": token, "Upload_Length": "5", "Upload_Metadata": metadata(purpose="source")}
    made = strict.ask("POST", **headers)
    assert made.status_code == 201
    assert strict.add(made["Location"], 0, b"x").status_code == 403
    assert strict.add(made["Location"], 0, b"x", X_CSRFToken=token).status_code == 204
