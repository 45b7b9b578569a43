"""fetch from Git: where a secret goes, and that a step told to stop leaves nothing running."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import connection

from listings.models import Attempt
from listings.services import leases
from listings.states import AttemptState
from tests.engine.git_fixtures import FILES, Fetched, fetching, make_credential
from tests.engine.test_git_sources import repository
from tests.git_servers import git_http, git_ssh, http_server
from tests.stack import wait_until
from workers import execution
from workers.sources.git.runner import Lines

__all__ = ["fetching", "git_http", "git_ssh", "make_credential", "repository"]

TOKEN = "tok:en/with@signs-8f2c"  # noqa: S105 - opens nothing but a server of the test's own
SPELLINGS = (TOKEN, "tok%3Aen%2Fwith%40signs-8f2c", "Ym90OnRvazplbi93aXRoQHNpZ25zLThmMmM")


def processes() -> dict[int, str]:
    """Command line and environment of every process but this one."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int(entry.name) != os.getpid():
                found[int(entry.name)] = (entry / "cmdline").read_bytes().decode(errors="replace") + (
                    entry / "environ"
                ).read_bytes().decode(errors="replace")
        except OSError:
            continue
    return found


def of_step(folder: Path) -> list[int]:
    """Processes that were started for a step whose folder is below ``folder``."""
    return [pid for pid, text in processes().items() if f"HOME={folder}" in text]


def test_a_token_is_in_no_command_line_no_environment_no_log_and_no_fact(
    git_http, repository, fetching, make_credential
):
    git_http.auth = ("bot", TOKEN)
    pointer = repository.lfs_pointer(b"weights")
    repository.commit({".gitattributes": "*.bin filter=lfs\n", "weights.bin": pointer})
    seen: list[str] = []
    files: dict[str, tuple[int, str]] = {}

    def look(path: str) -> None:
        seen.extend(processes().values())
        for place in execution.work_dir().rglob("*"):
            if place.is_file() and any(each in place.read_bytes().decode(errors="replace") for each in SPELLINGS):
                files[place.name] = (place.stat().st_mode & 0o777, str(place.parent.stat().st_mode & 0o777))

    git_http.before = look
    fetched = fetching(repository.url, credential=make_credential(git_http.host, TOKEN))
    assert fetched.contents()["weights.bin"] == b"weights"
    assert any("git-remote-http" in text or "remote-http" in text for text in seen)
    for spelling in SPELLINGS:
        assert not [text for text in seen if spelling in text]
        assert spelling not in fetched.everything
    assert files == {"credentials": (0o600, str(0o700))}


def test_what_a_server_repeats_of_a_token_is_masked(git_http, repository, fetching, make_credential):
    """A hook of the host that prints the secret it was shown."""
    git_http.auth = ("bot", TOKEN)
    git_http.redirects["/acme/model.git"] = f"/{TOKEN}/acme/model.git"
    failed = fetching(repository.url, credential=make_credential(git_http.host, TOKEN))
    assert failed.attempt.state == AttemptState.FAILED
    assert not [spelling for spelling in SPELLINGS if spelling in failed.everything]


def test_a_key_is_a_file_for_this_user_only_and_in_no_command_line(git_ssh, fetching, make_credential):
    fetching.allow(git_ssh.host)
    repository = git_ssh.repository("model")
    repository.commit(FILES)
    line = git_ssh.private_key.splitlines()[2]
    seen: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            seen.extend(text for text in processes().values() if "HOME=" in text)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        fetched = fetching(repository.url, credential=make_credential(git_ssh.host, git_ssh.private_key, "ssh_key"))
    finally:
        done.set()
        watcher.join()
    assert fetched.facts["commit"]
    assert [text for text in seen if text.startswith("ssh\0")]
    assert not [text for text in seen if line in text]
    assert line not in fetched.everything


def test_a_token_goes_to_no_other_host(git_http, repository, fetching, make_credential, tmp_path):
    """Not by a submodule, not by a redirect, not by an LFS link: the other port is another host."""
    git_http.auth = ("bot", TOKEN)
    with http_server(tmp_path / "other") as other:
        fetching.allow("127.0.0.1")
        inner = other.repository("inner")
        repository.submodule("inner", inner.url, inner.commit({"inner.txt": "x"}))
        other.lfs_objects.mkdir()
        (other.lfs_objects / "x").write_bytes(b"")
        repository.commit({".gitattributes": "*.bin filter=lfs\n", "a.bin": repository.lfs_pointer(b"a")})
        (other.lfs_objects / next(git_http.lfs_objects.iterdir()).name).write_bytes(b"a")
        git_http.lfs_href = lambda oid: f"{other.url}/lfs/{oid}"
        credential = make_credential(git_http.host, TOKEN)
        fetched = fetching(repository.url, credential=credential)
        assert (fetched.contents()["a.bin"], fetched.contents()["inner/inner.txt"]) == (b"a", b"x")
        git_http.redirects["/acme/model.git"] = f"{other.url}/moved.git"
        other.auth = ("bot", TOKEN)
        fetching(repository.url, credential=credential).assert_failed("GIT-AUTH-REFUSED")
        assert len(other.seen) > 3
        assert {given for _, given in other.seen} == {""}


@pytest.mark.parametrize("end", ["cancel", "time"])
def test_a_step_that_is_told_to_stop_leaves_nothing_running(git_http, repository, fetching, end):
    """The server hangs in the middle of its answer."""
    hanging, let_go = threading.Event(), threading.Event()

    def hang(path: str) -> None:
        if path.endswith("git-upload-pack"):
            hanging.set()
            let_go.wait(60)

    git_http.before = hang
    fetching.configure(heartbeat_seconds=0.2, fetch_timeout_seconds=3 if end == "time" else 600)
    run = fetching.submit(repository.url)
    attempt = Attempt.objects.get(step__run=run, step__name="fetch")

    def work() -> None:
        try:
            execution.run_attempt(attempt.pk)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert hanging.wait(30)
        assert of_step(execution.work_dir())
        began = time.monotonic()
        if end == "cancel":
            Attempt.objects.filter(pk=attempt.pk).update(state=AttemptState.CANCELLING)
        worker.join(20)
        assert not worker.is_alive()
        assert time.monotonic() - began < 15
    finally:
        let_go.set()
        worker.join()
    attempt.refresh_from_db()
    assert attempt.state == (AttemptState.CANCELLED if end == "cancel" else AttemptState.TIMED_OUT)
    assert of_step(execution.work_dir()) == []
    assert list(execution.work_dir().iterdir()) == []


def test_a_worker_that_is_killed_takes_git_with_it(git_http, repository, tmp_path):
    """Neither git nor its helpers outlive it: they hang on its pipes, its guard and its life."""
    hanging, let_go = threading.Event(), threading.Event()

    def hang(path: str) -> None:
        if path.endswith("git-upload-pack"):
            hanging.set()
            let_go.wait(60)

    git_http.before = hang
    folder = tmp_path / "killed"
    folder.mkdir()
    worker = subprocess.Popen(
        [sys.executable, "-c", _FETCHING, str(folder), repository.url],
        env={**os.environ, "SLIPWAY_SOURCE_ALLOW_HOSTS": git_http.host, "DJANGO_SETTINGS_MODULE": "portal.settings"},
        cwd=Path(__file__).parents[2],
    )
    try:
        assert hanging.wait(30)
        assert len(of_step(folder)) >= 2
        worker.kill()
        worker.wait()
        wait_until("git is gone", lambda: not of_step(folder))
    finally:
        let_go.set()
        worker.kill()


_FETCHING = """
import sys, threading, django
from pathlib import Path
django.setup()
from listings.addresses import parse_git
from workers.sources import guard
from workers.sources.git.access import Access
from workers.sources.git.remote import Remote
from workers.sources.git.runner import Git
from workers.steps.contract import Stop
room, address = Path(sys.argv[1]), parse_git(sys.argv[2], http_hosts=[sys.argv[2].split("/")[2]])
with guard.open() as way:
    access = Access(room / "home", way, address, None)
    git = Git(access.environment(), room, 1 << 30, Stop(), print, print, str)
    Remote(git, way, address, None).fetch(room / "0.git", "main", "")
"""


def test_a_worker_that_lost_its_lease_pins_nothing(repository, fetching, monkeypatch):
    run = fetching.submit(repository.url)
    attempt = Attempt.objects.get(step__run=run, step__name="fetch")
    real = leases.finish

    def finish_late(attempt_id, lease, *args, **more):
        Attempt.objects.filter(pk=attempt_id).update(lease="00000000-0000-0000-0000-000000000001")
        return real(attempt_id, lease, *args, **more)

    monkeypatch.setattr(leases, "finish", finish_late)
    assert execution.run_attempt(attempt.pk) is None
    assert fetching.version(Fetched(run, attempt)).git_commit == ""


def test_progress_becomes_lines(monkeypatch):
    said: list[str] = []
    now = [0.0]
    monkeypatch.setattr("workers.sources.git.runner.time.monotonic", lambda: now[0])
    lines = Lines(said.append, str)
    lines.feed(b"Receiving:  1%\rReceiving:  2%\r")
    now[0] = 6.0
    lines.feed(b"Receiving: 50%\rRecei")
    lines.feed(b"ving: 60%\rReceiving: 100%, done.\nfrom ssh\r")
    lines.feed(b"\nlast, without an end")
    lines.end()
    assert said == ["Receiving:  2%", "Receiving: 100%, done.", "from ssh", "last, without an end"]
    assert list(lines.last) == said[1:]
