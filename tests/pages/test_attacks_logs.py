"""Keys in addresses stay out of the log also where no view takes the request."""

from __future__ import annotations

import logging

import pytest
from asgiref.testing import ApplicationCommunicator

from portal.asgi import application
from portal.logging import Redact
from tests.asynchronous import run_async

pytestmark = pytest.mark.django_db(transaction=True)
KEY = "1a-c0ffee-0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("host", [b"testserver", b"evil.example"])
@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("begin", ["/account/password/reset/key/", "/invitations/", "/account/confirm-email/"])
def test_no_key_is_logged_however_the_request_ends(
    begin: str, end: str, host: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = begin + KEY + end
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [(b"host", host)], "scheme": "http", "server": ("testserver", 80),
        "client": ("192.0.2.1", 9),
    }  # fmt: skip

    async def ask() -> int:
        web = ApplicationCommunicator(application, scope)
        await web.send_input({"type": "http.request", "body": b"", "more_body": False})
        start = await web.receive_output(timeout=60)
        while (await web.receive_output(timeout=60)).get("more_body"):
            pass
        await web.wait(timeout=60)
        return int(start["status"])

    with caplog.at_level(logging.INFO, "portal.access"):
        assert run_async(ask()) in (200, 301, 302, 400, 404, 409)
    told = [vars(record)["path"] for record in caplog.records if record.name == "portal.access"]
    assert len(told) == 1
    assert told[0].startswith(begin)
    assert "0123456789abcdef" not in told[0]


def test_a_line_of_somebody_else_that_names_a_path_keeps_its_key_to_itself() -> None:
    line = Redact([])(None, "warning", {"event": f"Forbidden (CSRF cookie not set.): /invitations/{KEY}/accept/"})
    assert line["event"] == "Forbidden (CSRF cookie not set.): /invitations/***/accept/"
