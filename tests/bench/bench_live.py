"""From a webhook to the first line on a screen, and many screens on one run."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.client
import json
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.urls import reverse

from listings import livelog
from listings.models import Listing, ListingSource, Provider, Run, SourceKind
from listings.services import runs, versions, webhooks
from tests.bench.conftest import SAMPLE, Say, middle, packed, percentile, upload_version
from tests.git_servers import git_http
from tests.stack import Stack, wait_until
from workers.logs import AttemptLog

__all__ = ["git_http"]

DELIVERIES = 20
VIEWERS = 200
LINES = 100


@pytest.fixture
def one_key(stack: Stack, settings: Any) -> None:
    """Tickets and sealed secrets that are made here are read by the stack's processes."""
    settings.SECRET_KEY = stack.env["SLIPWAY_SECRET_KEY"]
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"redis_url": stack.env["REDIS_URL"]})


@pytest.mark.timeout(900)
def bench_webhook_to_first_line(
    one_key: None, stack: Stack, git_http: Any, seller: Any, algorithm: Listing, say: Say
) -> None:
    repository = git_http.repository("acme/trees")
    files = {
        str(path.relative_to(SAMPLE)): path.read_bytes() for path in SAMPLE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }  # fmt: skip
    commit = repository.commit(files)
    for number in range(DELIVERIES):
        repository.tag(f"v2.0.{number}")
    ListingSource.objects.create(listing=algorithm, kind=SourceKind.GIT, git_url=repository.url, git_ref="main")
    webhook, secret = webhooks.create_webhook(seller, algorithm, Provider.GITHUB, webhooks.Wanted(["main"], ["v*"], []))
    stack.env["SLIPWAY_SOURCE_ALLOW_HOSTS"] = git_http.host
    stack.control_worker()
    stack.beat()
    stack.engine_worker()
    stack.portal()
    _usual_and_large(stack, webhook.pk, secret, repository.url, commit, say)
    answers, firsts = [], []
    for number in range(DELIVERIES):
        began = time.monotonic()
        run = _deliver(stack, webhook.pk, secret, repository.url, f"v2.0.{number}", commit)
        answered = time.monotonic()
        _first_line(stack, run)
        answers.append((answered - began) * 1000)
        firsts.append(time.monotonic() - answered)
        runs.cancel_run(seller, run)
        wait_until("the run ends", lambda run=run: Run.objects.filter(pk=run.pk).exclude(state="active").exists(), 60)
    say(f"\nWebhook, {DELIVERIES} deliveries")
    say(f"  answered after (ms)                       {middle(answers)}")
    say(f"  95th percentile (ms)                      {percentile(answers, 95):8.1f}  target (200 ms): "
        f"{'met' if percentile(answers, 95) < 200 else 'missed'}")  # fmt: skip
    say(f"  accepted to first line at a viewer (s)    {middle(firsts)}")
    say(f"  95th percentile (s)                       {percentile(firsts, 95):8.2f}  target (1 s): "
        f"{'met' if percentile(firsts, 95) < 1 else 'missed'}")  # fmt: skip


def _usual_and_large(stack: Stack, webhook: uuid.UUID, secret: str, url: str, commit: str, say: Say) -> None:
    """How long the sender waits whose push is kept and builds nothing, by the size of its body."""
    for title, padding in (("a usual push", 4 << 10), ("a body of 20 MB", 20 << 20)):
        took = []
        for number in range(DELIVERIES):
            body, headers = _signed(secret, url, f"other-{number}", commit, padding)
            began = time.monotonic()
            answer = requests.post(stack.url + reverse("hook", args=[webhook]), data=body, headers=headers, timeout=30)
            took.append((time.monotonic() - began) * 1000)
            assert answer.json()["decision"] == "ignored", answer.text
        say(f"  {title + ', answered after (ms)':41} {middle(took)}, 95th percentile {percentile(took, 95):.1f}")


def _signed(secret: str, url: str, tag: str, commit: str, padding: int = 0) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a pushed tag, as GitHub sends them."""
    name = urlsplit(url).path.strip("/").removesuffix(".git")
    body = json.dumps({
        "ref": f"refs/tags/{tag}", "before": "0" * 40, "after": commit, "created": True, "deleted": False,
        "forced": False, "base_ref": None, "head_commit": {"id": commit}, "commits": [],
        "repository": {"full_name": name, "clone_url": url}, "pusher": {"name": "alice"}, "sender": {"login": "alice"},
        "padding": "x" * padding,
    }).encode()  # fmt: skip
    headers = {
        "Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }  # fmt: skip
    return body, headers


def _deliver(stack: Stack, webhook: uuid.UUID, secret: str, url: str, tag: str, commit: str) -> Run:
    body, headers = _signed(secret, url, tag, commit)
    answer = requests.post(stack.url + reverse("hook", args=[webhook]), data=body, headers=headers, timeout=10)
    assert answer.status_code < 300, answer.text
    assert answer.json()["decision"] == "built", answer.text
    return Run.objects.get(version__listing__webhooks=webhook, version__number=tag.removeprefix("v"))


def _first_line(stack: Stack, run: Run) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
    connection.request("GET", f"/live/{run.pk}?ticket={livelog.issue_ticket(run.pk, uuid.uuid4())}")
    response = connection.getresponse()
    assert response.status == 200
    while response.readline().strip() != b"event: log":
        pass
    connection.close()


@pytest.mark.timeout(600)
def bench_viewers(one_key: None, stack: Stack, seller: Any, algorithm: Listing, tmp_path: Path, say: Say) -> None:
    run = versions.submit_version(seller, upload_version(seller, algorithm, packed(SAMPLE)))
    portal = stack.portal()
    process = stack.processes[-1]
    assert requests.get(f"{portal}/healthz", timeout=5).ok
    before = _memory_mb(process.pid)
    delays, after = asyncio.run(_watch(stack, run, tmp_path, process.pid))
    values = [value * 1000 for value in delays]
    say(f"\n{VIEWERS} viewers of one run on one web process, {LINES} lines, {len(values)} lines received")
    say(f"  delay of a line (ms)                      {middle(values)}")
    say(f"  95th percentile (ms)                      {percentile(values, 95):8.1f}")
    say(f"  memory of the process (MB)                {before:.0f} without, {after:.0f} with them "
        f"({(after - before) * 1024 / VIEWERS:.0f} kB each)")  # fmt: skip
    assert len(values) == VIEWERS * LINES


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def _watch(stack: Stack, run: Run, folder: Path, pid: int) -> tuple[list[float], float]:
    """Delays of all lines at all viewers, in seconds, and the memory of the portal meanwhile, in MB."""
    users = [uuid.uuid4() for _ in range(VIEWERS // 20)]
    tickets = [livelog.issue_ticket(run.pk, users[number % len(users)]) for number in range(VIEWERS)]
    ready = asyncio.Semaphore(0)
    watching = [asyncio.create_task(_viewer(stack.port, run, ticket, ready)) for ticket in tickets]
    for _ in range(VIEWERS):
        await asyncio.wait_for(ready.acquire(), 60)
    memory = asyncio.create_task(_memory_later(pid))
    await asyncio.to_thread(_write, stack, run, folder)
    found = await asyncio.wait_for(asyncio.gather(*watching), 120)
    return [delay for delays in found for delay in delays], await memory


async def _memory_later(pid: int) -> float:
    await asyncio.sleep(2)
    return _memory_mb(pid)


def _write(stack: Stack, run: Run, folder: Path) -> None:
    with AttemptLog(uuid.uuid4(), run.pk, "build", stack.env["REDIS_URL"], folder) as log:
        for number in range(LINES):
            log.line(f"line {number} {time.time():.6f}")
            time.sleep(0.05)


async def _viewer(port: int, run: Run, ticket: str, ready: asyncio.Semaphore) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /live/{run.pk}?ticket={ticket} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert b"200" in await reader.readline()
    ready.release()
    delays: list[float] = []
    while len(delays) < LINES:
        line = await reader.readline()
        if line.startswith(b"data: ") and b'"lines"' in line:
            now = time.time()
            delays += [now - float(text.split()[-1]) for _, _, _, text, *_ in json.loads(line[6:])["lines"]]
    writer.close()
    return delays
