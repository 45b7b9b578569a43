"""Attacks on what Slipway sends out for a seller: where a token goes, and what a hostile code host answers."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from django.utils import timezone

from listings.models import CommitStatus, Credential, CredentialKind, Listing, ListingSource, SourceKind, StatusProvider
from listings.services import standing_sources, versions
from listings.services.origins import Origin
from listings.services.standing_sources import Reporting
from workers.codehosts import send
from workers.codehosts.send import send_due

TOKEN = "s3cret-token-of-an-owner"  # noqa: S105  guards nothing
COMMIT = "c0ffee" + "0" * 34


class HostileHost:
    """``answer`` writes what comes after the request has been read."""

    def __init__(self) -> None:
        self.answer: Any = None
        self.ended = threading.Event()
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    host.answer(self)
                except OSError:
                    pass
                finally:
                    host.ended.set()

            def log_message(self, *args: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.site = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hostile(settings: Any) -> Iterator[HostileHost]:
    host = HostileHost()
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"source_allow_hosts": host.site})
    yield host
    host.close()


@pytest.fixture
def status(seller: Any, listing: Listing, hostile: HostileHost) -> CommitStatus:
    """One report that is due."""
    token = Credential(team=listing.team, kind=CredentialKind.TOKEN, name="statuses", host=hostile.site, username="al")
    token.seal(TOKEN)
    token.save()
    url = f"http://{hostile.site}/acme/vision.git"
    ListingSource.objects.create(
        listing=listing, kind=SourceKind.GIT, git_url=url, status_provider="github",
        status_url=f"http://{hostile.site}", status_credential=token,
    )  # fmt: skip
    origin = Origin(SourceKind.GIT, git_url=url, git_ref="main", git_commit=COMMIT)
    versions.submit_version(seller, versions.create_version(seller, listing, number="1.0.0", source=origin))
    return CommitStatus.objects.get()


def _head(handler: Any, status: int, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def test_an_answer_without_end_is_not_read_into_memory(hostile: HostileHost, status: CommitStatus) -> None:
    written = 0

    def endless(handler: Any) -> None:
        nonlocal written
        _head(handler, 422)
        while written < 200 << 20:
            written += handler.wfile.write(b"x" * (1 << 20))

    hostile.answer = endless
    assert send_due() == 0
    assert hostile.ended.wait(20)
    assert written < 50 << 20
    status.refresh_from_db()
    assert status.problem_code == "STATUS-REFUSED"
    assert len(status.problem_params["answer"]) == 300


def test_an_answer_that_drips_does_not_hold_the_sender(
    hostile: HostileHost, status: CommitStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "_ENOUGH", 1.0)
    gone = threading.Event()

    def dripping(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(300):
            handler.wfile.write(b"X-%d: drip\r\n" % (number // 100))
            if gone.wait(0.1):
                return

    hostile.answer = dripping
    began = time.monotonic()
    assert send_due() == 0
    took = time.monotonic() - began
    gone.set()
    assert took < 8
    status.refresh_from_db()
    assert (status.problem_code, status.next_at is not None) == ("STATUS-UNREACHABLE", True)


def test_an_answer_is_shown_without_the_token_and_without_what_a_database_refuses(
    hostile: HostileHost, status: CommitStatus
) -> None:
    def echo(handler: Any) -> None:
        body = f"no\0 such\x1b[2J thing: {handler.headers['Authorization']} {TOKEN}".encode()
        _head(handler, 422, Content_Length=str(len(body)))
        handler.wfile.write(body)

    hostile.answer = echo
    assert send_due() == 0
    status.refresh_from_db()
    shown = status.problem_params["answer"]
    assert TOKEN not in shown
    assert shown.isprintable()
    assert shown.startswith("no such")


@pytest.mark.parametrize("typed", ["https://git.meße.example/api/v3", "HTTPS://Git.Meße.Example./api/v3/"])
def test_a_token_does_not_follow_a_name_that_is_read_in_two_ways(typed: str, seller: Any, listing: Listing) -> None:
    """IDNA 2003 reads ß as ss; requests asks for xn--mee-6ka, which anybody may register."""
    token = Credential(team=listing.team, kind=CredentialKind.TOKEN, name="statuses", host="git.messe.example")
    token.seal(TOKEN)
    token.save()
    source = standing_sources.save(
        seller, listing, Origin(SourceKind.GIT, git_url="https://git.messe.example/acme/vision.git"),
        reporting=Reporting(StatusProvider.GITHUB, typed, token),
    )  # fmt: skip
    asked = requests.Request("POST", f"{source.status_url}/repos").prepare()
    assert asked.url == "https://git.messe.example/api/v3/repos"


def test_the_sender_holds_the_token_against_the_host_that_is_really_asked(
    seller: Any, listing: Listing, status: CommitStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []
    monkeypatch.setattr(requests.Session, "send", lambda self, request, **rest: sent.append(request))
    Credential.objects.update(host="git.messe.example")
    ListingSource.objects.update(status_url="https://git.meße.example")
    assert send_due() == 0
    assert sent == []
    status.refresh_from_db()
    assert status.problem_code == "STATUS-NO-TOKEN"


def test_a_host_that_does_not_answer_is_not_asked_once_for_each_report(
    seller: Any, listing: Listing, hostile: HostileHost, status: CommitStatus
) -> None:
    asked = 0

    def busy(handler: Any) -> None:
        nonlocal asked
        asked += 1
        _head(handler, 503, Content_Length="0")

    hostile.answer = busy
    origin = Origin(SourceKind.GIT, git_url=f"http://{hostile.site}/acme/vision.git", git_commit=COMMIT)
    for number in range(1, 5):
        versions.submit_version(seller, versions.create_version(seller, listing, number=f"1.0.{number}", source=origin))
    assert CommitStatus.objects.count() == 5
    assert send_due() == 0
    assert asked == 1
    assert not CommitStatus.objects.filter(next_at__lte=status.created_at).exists()


def test_reports_that_are_dropped_do_not_stand_before_others(
    seller: Any, team: Any, listing: Listing, hostile: HostileHost, status: CommitStatus
) -> None:
    hostile.answer = lambda handler: _head(handler, 201, Content_Length="0")
    url = f"http://{hostile.site}/acme/vision.git"
    other = Listing.objects.create(team=team, name="Gone", slug="gone", kind=listing.kind)
    source = ListingSource.objects.create(listing=other, kind=SourceKind.GIT, git_url=url, status_provider="github")
    origin = Origin(SourceKind.GIT, git_url=url, git_commit=COMMIT)
    for number in range(5):
        versions.submit_version(seller, versions.create_version(seller, other, number=f"1.0.{number}", source=origin))
    source.delete()
    CommitStatus.objects.filter(pk=status.pk).update(next_at=timezone.now())
    assert send_due() == 1
