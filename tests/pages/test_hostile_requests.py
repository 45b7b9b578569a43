"""Requests that nobody sends by mistake."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from listings.models import Team
from portal import limits
from tests.asynchronous import run_async


@pytest.mark.parametrize(
    "address", ["/search/?q=%00", "/palette.json?q=a%00b", "/t/acme-vision/listings/x/versions/1%00/"]
)
def test_a_nul_in_an_address_is_refused(signed_in: Client, team: Team, address: str) -> None:
    assert signed_in.get(address).status_code == 400


def test_a_nul_in_a_form_is_refused(signed_in: Client, team: Team) -> None:
    assert signed_in.post(reverse("member_add", args=[team.slug]), {"email": "a\0@b.c"}).status_code == 400


class Web:
    """An ASGI server of one request; ``kept`` is what the application read of its body."""

    def __init__(self, path: str, chunks: list[bytes], length: int | None = None) -> None:
        headers = [(b"content-length", str(length).encode())] if length is not None else []
        self.scope = {"type": "http", "path": path, "headers": headers}
        self.chunks, self.sent, self.kept, self.called = chunks, [], 0, False

    async def receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": self.chunks.pop(0), "more_body": bool(self.chunks)}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        self.called = True
        more = True
        while more:
            message = await receive()
            self.kept, more = self.kept + len(message["body"]), message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def status(self) -> int:
        run_async(limits.limited(self.application)(self.scope, self.receive, self.send))
        return int(self.sent[0]["status"])


MEGABYTE = b"x" * (1 << 20)


def test_a_body_that_says_it_is_too_long_is_not_read() -> None:
    web = Web("/account/login/", [MEGABYTE], length=10**12)
    assert web.status() == 413
    assert not web.called


def test_a_body_that_does_not_say_how_long_it_is_ends_at_the_limit() -> None:
    web = Web("/account/login/", [MEGABYTE] * 100)
    assert web.status() == 413
    assert web.kept <= limits.most_bytes("/account/login/")


@pytest.mark.parametrize("path", ["/t/acme/uploads/", "/t/acme/listings/trees/versions/new/"])
def test_files_may_be_long_from_who_may_upload(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Web(path, [MEGABYTE] * 30).status() == 413
    monkeypatch.setattr(limits, "_may_upload", lambda key, slug: (key, slug) == ("a-key", "acme"))
    web = Web(path, [MEGABYTE] * 30)
    web.scope["headers"] = [(b"cookie", b"theme=dark; sessionid=a-key")]
    assert web.status() == 200


def test_an_upload_ends_at_its_own_limit() -> None:
    assert Web("/t/acme/uploads/", [MEGABYTE], length=10**12).status() == 413
