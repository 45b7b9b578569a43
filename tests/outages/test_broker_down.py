"""Redis goes away: people sign in and look, a running step goes on, and what waited starts by itself."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import pytest
import requests
from django.contrib.auth.hashers import make_password
from django.core.cache import cache

from listings.livelog import issue_ticket
from listings.models import Attempt, Run, Team
from listings.states import RunState
from tests.bad_input import provokes
from tests.crash.sources import context_with, submit
from tests.stack import Stack, wait_until

PASSWORD = "correct horse battery staple"


@pytest.fixture
def sally(seller: Any) -> Any:
    """With a password that the running portal can read: the tests' own hasher is another."""
    seller.password = make_password(PASSWORD, hasher="pbkdf2_sha256")
    seller.save()
    # Tries are counted per address of the visitor.
    cache.clear()
    return seller


class Follower(threading.Thread):
    """Reads a run's live stream, and keeps its events' names and the line numbers of each step."""

    def __init__(self, url: str, run: Run, user: Any) -> None:
        super().__init__(daemon=True)
        self.events: list[str] = []
        ticket = issue_ticket(run.pk, user.pk)
        self._answer = requests.get(f"{url}/live/{run.pk}?ticket={ticket}", stream=True, timeout=(5, 120))
        assert self._answer.status_code == 200
        self.start()

    def run(self) -> None:
        event = ""
        for line in self._answer.iter_lines(decode_unicode=True):
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: "):
                self.events.append(f"{event} {line.removeprefix('data: ')}")

    def saw(self, pattern: str, after: int = 0) -> int:
        """The place after the first event that fits, from ``after`` on; 0 if there is none."""
        for place, event in enumerate(self.events[after:], after + 1):
            if re.search(pattern, event):
                return place
        return 0


def sign_in(url: str, password: str) -> requests.Response:
    with requests.Session() as visitor:
        page = visitor.get(f"{url}/account/login/", timeout=10)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None
        data = {"csrfmiddlewaretoken": token[1], "login": "sally@example.com", "password": password}
        return visitor.post(f"{url}/account/login/", data=data, headers={"Referer": url}, timeout=10)


@pytest.fixture
def working(stack: Stack, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Stack:
    # Tickets are signed with the portal's key.
    settings.SECRET_KEY = stack.env["SLIPWAY_SECRET_KEY"]
    stack.portal()
    stack.control_worker()
    stack.beat()
    stack.engine_worker()
    return stack


def ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.state != RunState.ACTIVE


@provokes("", "broker down")
@pytest.mark.timeout(240)
def test_without_redis_people_work_on_and_work_resumes_with_it(sally: Any, aws_team: Team, working: Stack) -> None:
    first = submit(sally, aws_team, "Before", context_with(build=8, files=10))
    build = Attempt.objects.filter(step__run=first, step__name="build", state="running")
    wait_until("the build runs", build.exists)
    follower = Follower(working.url, first, sally)
    wait_until("the page follows", lambda: follower.saw("Step 3"))
    working.redis.kill()

    down = wait_until("the page hears of it", lambda: follower.saw(r'status .*"live": false'))
    began = time.monotonic()
    assert sign_in(working.url, PASSWORD).url == f"{working.url}/"
    assert time.monotonic() - began < 8
    second = submit(sally, aws_team, "Meanwhile", context_with(files=10))
    wait_until("the build ends all the same", lambda: not build.exists(), 60)
    assert Attempt.objects.get(step__run=first, step__name="build").state == "succeeded"
    assert Attempt.objects.get(step__run=second).state == "queued"

    working.redis.start()
    up = wait_until("the page hears that it is back", lambda: follower.saw(r'status .*"live": true', down))
    wait_until("the page is told to look again", lambda: follower.saw("^resync", up - 1))
    wait_until("the page gets later lines", lambda: follower.saw('^log .*"step":"push"', up))
    for run in (first, second):
        wait_until("the run ends", lambda run=run: ended(run))  # type: ignore[misc]
        assert run.state == RunState.PASSED, working.log("engine")[-3000:]
        assert {attempt.state for attempt in Attempt.objects.filter(step__run=run)} == {"succeeded"}


@pytest.mark.timeout(120)
def test_tries_to_sign_in_are_limited_with_redis_and_without(sally: Any, stack: Stack) -> None:
    url = stack.portal()
    for is_up in (True, False):
        cache.clear()
        if not is_up:
            stack.redis.kill()
        for _ in range(20):
            answer = sign_in(url, "wrong")
            if "Too many" in answer.text or answer.status_code == 429:
                break
        else:
            pytest.fail("twenty wrong passwords in a row were judged")
        refused = sign_in(url, PASSWORD)
        assert refused.url != f"{url}/"
