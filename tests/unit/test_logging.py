"""What a log line holds: one JSON object, what it belongs to, and no secret."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.test import Client
from pydantic import SecretStr

from listings.models import Attempt
from listings.services import versions
from portal import logging as portal_logging
from portal.asgi import application
from portal.config import SlipwaySettings
from tests.asynchronous import run_async
from workers import execution

SECRET = "hunter2/'quoted' & more"


class Lines:
    """What a process would print, as JSON."""

    def __init__(self, secrets: list[str]) -> None:
        options = portal_logging.config("DEBUG", as_json=True, secrets=secrets)["formatters"]["line"]
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=options["foreign_pre_chain"], processors=options["processors"]
            )
        )

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, logger: str) -> list[dict[str, Any]]:
        return [line for line in self.read() if line["logger"] == logger]


@pytest.fixture
def lines() -> Iterator[Lines]:
    found = Lines([SECRET])
    root = logging.getLogger()
    level = root.level
    root.addHandler(found.handler)
    root.setLevel(logging.DEBUG)
    yield found
    root.removeHandler(found.handler)
    root.setLevel(level)


def test_an_exception_is_one_line(lines: Lines) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logging.getLogger("some.place").exception("it broke")
    [line] = lines.of("some.place")
    assert line["event"] == "it broke"
    assert line["level"] == "error"
    assert "ValueError: first\nsecond" in line["exception"]


@pytest.mark.parametrize(
    "say",
    [
        lambda log: log.warning("the password is %s", SECRET),
        lambda log: log.warning("repr: %r", {"value": SECRET}),
        lambda log: log.warning("at https://u:p%40ss@host.example/path"),
        lambda log: log.warning("GET with Authorization: Bearer abcdefgh12345678"),
        lambda log: log.warning("%s", SECRET, exc_info=RuntimeError(f"refused {SECRET}")),
        lambda log: structlog.stdlib.get_logger("x") and log.warning("basic %s", "Basic dXNlcjpwYXNzd29yZA=="),
    ],
)
def test_secrets_never_stand_in_a_line(lines: Lines, say: Any) -> None:
    say(logging.getLogger("some.place"))
    [line] = lines.of("some.place")
    assert portal_logging.MASK in line["event"]
    for secret in (SECRET, "hunter2", "p%40ss", "abcdefgh12345678", "dXNlcjpwYXNz"):
        assert secret not in lines.text


def test_a_long_line_is_masked_at_once(lines: Lines) -> None:
    began = time.monotonic()
    logging.getLogger("some.place").warning("a." * 30_000 + " https://u:pass-word@host.example")
    assert time.monotonic() - began < 1
    [line] = lines.of("some.place")
    assert line["event"].endswith(f"a. https://{portal_logging.MASK}@host.example")


def test_what_has_a_secrets_name_is_masked(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(api_token="whatever-it-is", headers={"Cookie": "a", "Host": "h"}):
        logging.getLogger("some.place").info("sent")
    [line] = lines.of("some.place")
    assert line["api_token"] == portal_logging.MASK
    assert line["headers"] == {"Cookie": portal_logging.MASK, "Host": "h"}


def test_the_settings_own_secrets_are_known() -> None:
    config = SlipwaySettings(
        secret_key=SecretStr("the-secret-key"), encryption_keys=SecretStr("key-one, key-two"),
        metrics_token=SecretStr("scrape-me"), mail_url="smtp://me:mail%2Fword@mail.example",
        DATABASE_URL="postgresql://u:db-word@db/slipway", REDIS_URL="redis://:redis-word@redis/0",
    )  # fmt: skip
    found = set(portal_logging.secrets_in(config))
    assert found >= {"the-secret-key", "key-one", "key-two", "scrape-me", "mail/word", "db-word", "redis-word"}


@pytest.mark.django_db(transaction=True)
def test_a_workers_lines_name_run_version_step_and_attempt(lines: Lines, seller: Any, draft: Any) -> None:
    run = versions.submit_version(seller, draft)
    [attempt] = Attempt.objects.filter(step__run=run)
    execution.run_attempt(attempt.pk)
    told = lines.of("workers.execution")
    assert [line["event"] for line in told] == ["attempt started", "attempt ended"]
    belongs = {"run": str(run.pk), "version": str(draft), "step": "fetch", "attempt": str(attempt.pk)}
    assert all(line | belongs == line for line in told)
    assert told[1]["state"] == "failed"
    logging.getLogger("some.place").info("afterwards")
    assert "run" not in lines.of("some.place")[0]


async def _ask(path: str, query: bytes = b"", cookies: str = "", method: str = "GET") -> int:
    """One request through the whole ASGI application; returns its status."""
    headers = [(b"host", b"localhost"), (b"x-request-id", b"from-the-proxy-1")]
    headers += [(b"cookie", cookies.encode())] if cookies else []
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query,
        "headers": headers, "http_version": "1.1", "scheme": "http", "server": ("localhost", 80),
        "client": ("127.0.0.1", 1), "asgi": {"version": "3.0"},
    }  # fmt: skip
    status: list[int] = []
    sent = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        # After the body, a client that stays says nothing.
        return next(sent, None) or await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    await application(scope, receive, send)
    return status[0]


@pytest.mark.django_db(transaction=True)
def test_each_request_is_one_line_with_its_id_and_user(lines: Lines, seller: Any) -> None:
    client = Client()
    client.force_login(seller)
    cookies = f"sessionid={client.cookies['sessionid'].value}"
    assert run_async(_ask("/search/", b"q=very-private", cookies)) == 200
    [line] = lines.of("portal.access")
    assert line["event"] == "request"
    told = {"method": "GET", "path": "/search/", "status": 200, "request_id": "from-the-proxy-1"}
    assert line | told == line
    assert line["user"] == str(seller.pk)
    assert line["ms"] >= 0
    assert "very-private" not in lines.text


@pytest.mark.django_db(transaction=True)
def test_keys_in_addresses_and_strangers_are_not_told(lines: Lines) -> None:
    run_async(_ask("/account/confirm-email/a-very-secret-key/"))
    run_async(_ask("/account/password/reset/key/3x-set-me/"))
    told = lines.of("portal.access")
    assert [line["path"] for line in told] == [
        "/account/confirm-email/***/", "/account/password/reset/key/***-***/",
    ]  # fmt: skip
    assert all("user" not in line for line in told)
    assert "a-very-secret-key" not in lines.text


@pytest.mark.django_db(transaction=True)
def test_probes_and_files_are_told_only_when_they_fail(lines: Lines) -> None:
    run_async(_ask("/healthz"))
    run_async(_ask("/static/css/none.css"))
    found = {line["path"]: line["level"] for line in lines.of("portal.access")}
    assert found == {"/healthz": "debug", "/static/css/none.css": "info"}
