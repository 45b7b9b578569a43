"""The stored log of an attempt as text, pages and search results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import RequestFactory

from listings import livelog
from listings.blobs import store
from listings.models import Attempt, Listing, Run, Step, Version
from listings.views import logs
from workers.logs import AttemptLog, LogLimits

pytestmark = pytest.mark.django_db


def request(**query: Any) -> Any:
    return RequestFactory().get("/log", query)


@pytest.fixture
def attempt(tmp_path: Path, settings: Any) -> Attempt:
    """A failed attempt whose log of 1000 lines has lost its middle."""
    settings.MEDIA_ROOT = tmp_path / "media"
    small = LogLimits(head=4_000, tail=4_000, segment=1_000)
    with AttemptLog(uuid4(), uuid4(), "test", "redis://127.0.0.1:1/0", tmp_path / "spool", limits=small) as log:
        log.section("serve")
        for number in range(2, 1001):
            log.line(f"\x1b[31mline\x1b[0m {number} <b>")
    with log.finish().open() as file:
        blob = store(file)
    version = Version(listing=Listing(slug="trees"), number="1.4.0")
    step = Step(run=Run(version=version), name="test")
    return Attempt(step=step, number=2, state="failed", log=blob, log_lines=1000)


def test_text_is_plain_named_and_says_what_was_dropped(attempt: Attempt) -> None:
    response = logs.raw(request(), attempt)
    text = response.content.decode()
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"] == 'inline; filename="trees-1.4.0-test-2.log"'
    assert text.startswith("== serve\nline 2 <b>\n")
    assert text.endswith("line 1000 <b>\n")
    assert text.count("lines dropped") == 1
    assert logs.download(request(), attempt)["Content-Disposition"].startswith("attachment; ")
    assert "\x1b[31mline" in logs.raw(request(ansi="1"), attempt).content.decode()


def test_pages_follow_each_other_without_loss_or_repetition(attempt: Attempt) -> None:
    whole = json.loads(logs.lines(request(), attempt).content)
    assert (whole["state"], whole["total"], whole["next"]) == ("stored", 1000, None)
    pages: list[list[Any]] = []
    following: int | None = 1
    while following:
        page = json.loads(logs.lines(request(**{"from": following, "count": 7}), attempt).content)
        pages += page["lines"]
        following = page["next"]
    assert pages == whole["lines"]
    dropped = [line for line in pages if line[2] == "dropped"]
    assert len(dropped) == 1
    assert pages[-1][0] == 1000
    assert sum(line[4] if len(line) > 4 else 1 for line in pages) == 1000


@pytest.mark.parametrize("given", ["", "-3", "x", "9" * 40, "1e3", "²"])
def test_a_senseless_place_is_the_first_line(attempt: Attempt, given: str) -> None:
    assert json.loads(logs.lines(request(**{"from": given}), attempt).content)["lines"][0][0] == 1


def test_search_passes_over_colours_and_case(attempt: Attempt) -> None:
    found = json.loads(logs.search(request(q="LINE 999"), attempt).content)
    assert found == {"state": "stored", "count": 1, "hits": [[999, "line 999 <b>"]]}
    assert json.loads(logs.search(request(q=""), attempt).content)["count"] == 0


def test_a_running_attempt_points_to_the_live_view_and_a_silent_one_has_none() -> None:
    running, silent = Attempt(state="running", number=1), Attempt(state="cancelled", number=1)
    assert json.loads(logs.lines(request(), running).content) == {"state": "live", "lines": [], "next": None}
    assert json.loads(logs.lines(request(), silent).content)["state"] == "none"
    assert [logs.raw(request(), one).status_code for one in (running, silent)] == [409, 404]


def test_a_ticket_opens_the_stream_it_was_given_for() -> None:
    owner_id, asked = uuid4(), request()
    asked.user = type("User", (), {"pk": 7})()
    answer = json.loads(logs.ticket(asked, owner_id).content)
    assert livelog.read_ticket(answer["ticket"], owner_id) == "7"
    with pytest.raises(livelog.TicketError):
        livelog.read_ticket(answer["ticket"], uuid4())
