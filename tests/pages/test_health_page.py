"""The admins' health page: what is wrong stands on top with what to do, and nothing that fails breaks the page."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from listings import livelog
from listings.models import Attempt, Delivery, Notice, Run, Webhook, WorkerProcess
from listings.reports import ProblemReport, StepReport
from listings.services import dependencies, versions
from tests import flow
from tests.browser import expect_no_sideways_scroll
from tests.programs import free_port
from tests.services.live_fixtures import RealRedis, real_redis

__all__ = ["real_redis"]
pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


@pytest.fixture
def configure(settings: Any) -> Any:
    def change(**values: Any) -> None:
        settings.SLIPWAY = settings.SLIPWAY.model_copy(update=values)

    return change


@pytest.fixture(autouse=True)
def sound(real_redis: RealRedis, configure: Any, monkeypatch: Any) -> RealRedis:
    """An installation where all is well: Redis up, the clock ticking, one worker of each queue."""
    monkeypatch.setattr(dependencies, "FRESH_SECONDS", 0.0)
    configure(redis_url=real_redis.url)
    livelog.note_tick(real_redis.url)
    worker("engine@one", "engine", slots=2)
    worker("control@one", "control", slots=1)
    return real_redis


def worker(name: str, queue: str, *, slots: int, seen: timedelta = timedelta(0), **detail: Any) -> None:
    WorkerProcess.objects.update_or_create(
        name=name,
        defaults={
            "queue": queue, "host": name.partition("@")[2], "boot": uuid.uuid4(), "slots": slots,
            "seen_at": timezone.now() - seen, "detail": detail,
        },
    )  # fmt: skip


class Codes(HTMLParser):
    """The codes of the findings, in order, and all words of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.words: list[str] = []
        self._in_code = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_code = ("class", "code") in attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._in_code:
            self.found.append(data)
            self._in_code = False


def look(admin: Any) -> tuple[list[str], str]:
    client = Client()
    client.force_login(admin)
    answer = client.get("/health/")
    assert answer.status_code == 200
    page = Codes(answer.content.decode())
    return page.found, " ".join(" ".join(page.words).split())


@pytest.fixture
def run(seller: Any, draft: Any) -> Run:
    found = versions.submit_version(seller, draft)
    Notice.objects.update(mailed_at=timezone.now())
    return found


def test_a_sound_installation_says_so_and_asks_again_by_itself(admin: Any) -> None:
    codes, words = look(admin)
    assert codes == []
    assert "Nothing is wrong" in words
    client = Client()
    client.force_login(admin)
    assert 'hx-trigger="every 10s"' in client.get("/health/").content.decode()


def test_a_broker_that_is_down_is_a_finding_and_no_error(admin: Any, sound: RealRedis) -> None:
    sound.kill()
    codes, words = look(admin)
    assert codes == ["BROKER-UNREACHABLE"]
    assert "Start Redis, or correct REDIS_URL." in words


def test_a_dependency_that_hangs_does_not_hang_the_page(admin: Any, monkeypatch: Any) -> None:
    release = threading.Event()

    def hang() -> dependencies.Answer:
        release.wait()
        return dependencies.Answer()

    monkeypatch.setitem(dependencies._PROBES, "storage", dependencies._Probe(hang))
    try:
        codes, _ = look(admin)
        assert not release.is_set()
    finally:
        release.set()
    assert codes == ["DEPENDENCY-SLOW"]


def test_a_worker_that_is_not_ready_says_why_and_what_to_do(admin: Any, run: Run) -> None:
    problem = {"code": "STAGING-UNREACHABLE", "params": {"registry": "registry:5000", "reason": "ConnectionError"}}
    worker("engine@one", "engine", slots=0, problems=[problem], engine="20.10.5", engine_answers=True)
    codes, words = look(admin)
    assert codes == ["STAGING-UNREACHABLE"]
    assert "could not speak to registry:5000" in words
    assert "Start the registry, or correct SLIPWAY_STAGING_REGISTRY_WORKER." in words
    # And what waits says so, too.
    assert "The engine worker on one is not ready: the staging registry does not answer" in words


def test_workers_that_are_gone_and_a_clock_that_stands(admin: Any, sound: RealRedis) -> None:
    worker("engine@one", "engine", slots=2, seen=HOUR)
    worker("control@two", "control", slots=1, seen=HOUR)
    sound.client().set(livelog.TICK_KEY, time.time() - 300)
    codes, words = look(admin)
    assert codes == ["CLOCK-SILENT", "WORKER-GONE", "WORKER-SILENT"]
    assert "The last one was seen 1 h ago." in words
    assert "control@two: A worker went without a word" in words
    sound.client().delete(livelog.TICK_KEY)
    assert "It has not in the last day." in look(admin)[1]


def test_what_a_worker_warns_of_stands_below_what_fails(admin: Any) -> None:
    warning = {"code": "BUILD-LIMITS-UNPROVEN", "params": {"detail": "A build held 90 processes."}}
    low = {"code": "HOST-DISK-LOW", "params": {"place": "/data", "free_mb": "5", "floor_mb": "1024"}}
    worker("engine@one", "engine", slots=2, warnings=[warning])
    worker("engine@two", "engine", slots=0, problems=[low])
    codes, words = look(admin)
    assert codes == ["HOST-DISK-LOW", "BUILD-LIMITS-UNPROVEN"]
    assert "/data has 5 MB left; 1024 MB must stay free." in words


def test_work_that_waits_for_long(admin: Any, run: Run) -> None:
    Attempt.objects.update(created_at=timezone.now() - HOUR)
    codes, words = look(admin)
    assert codes == ["QUEUE-OLD"]
    assert "has waited for 1 h 0 min; 1 wait." in words
    assert "About to start" in words


def test_a_run_without_progress_and_a_poll_that_is_overdue(admin: Any, run: Run) -> None:
    claim = flow.claim(run, "fetch")
    Attempt.objects.filter(pk=claim.attempt.pk).update(lease=None, poll_at=timezone.now() - HOUR)
    assert look(admin)[0] == ["POLL-OVERDUE"]
    Attempt.objects.filter(pk=claim.attempt.pk).update(
        state="succeeded", finished_at=timezone.now() - HOUR, poll_at=None
    )
    Run.objects.filter(pk=run.pk).update(created_at=timezone.now() - HOUR)
    codes, words = look(admin)
    assert codes == ["RUN-STUCK"]
    assert f"{run.version}, run 1, is active, but nothing of it waits or runs since 1 h ago." in words


def test_deliveries_that_failed_and_mail_that_was_not_sent(admin: Any, seller: Any, listing: Any) -> None:
    webhook = Webhook.objects.create(listing=listing, provider="github", sealed="-")
    Delivery.objects.create(webhook=webhook, key="1", decision="failed", status=500)
    notice = Notice.objects.create(user=seller, kind="run.failed", title="x", url="/")
    Notice.objects.filter(pk=notice.pk).update(created_at=timezone.now() - HOUR)
    codes, words = look(admin)
    assert codes == ["DELIVERY-FAILED", "MAIL-UNSENT"]
    assert f"the latest for {listing.team}: {listing}" in words


def test_attempts_that_ended_by_our_fault_are_listed_and_sellers_mistakes_are_not(admin: Any, run: Run) -> None:
    flow.end(run, "fetch", StepReport(problem=ProblemReport("ENGINE-UNREACHABLE")))
    words = look(admin)[1]
    assert "fetch, attempt 1" in words
    assert "The Docker Engine does not answer ENGINE-UNREACHABLE · Slipway" in words
    Attempt.objects.update(state="failed")
    assert "fetch, attempt 1" not in look(admin)[1]


def test_storage_below_its_floor(admin: Any, configure: Any) -> None:
    configure(disk_floor_mb=10**9)
    assert look(admin)[0] == ["STORAGE-LOW"]


def test_no_secret_stands_on_the_page(admin: Any, configure: Any, sound: RealRedis) -> None:
    configure(redis_url=f"redis://me:redis-pass-word@127.0.0.1:{free_port()}/0")
    codes, words = look(admin)
    assert codes == ["BROKER-UNREACHABLE"]
    assert "redis-pass-word" not in words


def test_the_number_of_queries_does_not_grow_with_what_is_shown(admin: Any, run: Run) -> None:
    client = Client()
    client.force_login(admin)
    client.get("/health/")
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get("/health/")
    for number in range(8):
        worker(f"engine@more-{number}", "engine", slots=1)
    with CaptureQueriesContext(connection) as many:
        client.get("/health/")
    assert len(many) == len(few)
    assert len(few) <= 55


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_an_open_page_shows_what_changes_without_being_touched(
    width: int, theme: Any, open_window: Any, admin: Any
) -> None:
    page = open_window(admin, width=width, theme=theme)
    page.goto("/health/")
    page.get_by_text("Nothing is wrong").wait_for()
    worker("engine@one", "engine", slots=0, problems=[{"code": "ENGINE-UNREACHABLE", "params": {}}])
    page.get_by_text("Start the engine, or correct DOCKER_HOST.").wait_for(timeout=25_000)
    expect_no_sideways_scroll(page)
