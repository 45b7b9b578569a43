"""A seller's registry that drips, or answers more than anybody can keep: neither holds a step nor takes the memory."""

from __future__ import annotations

import gzip
import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from listings.problems import ProblemError
from tests.engine.context import MemoryLog
from tests.seller_registry import Answer, image, scripted
from workers.registries import DOCKER_MANIFEST, Manifest, Registry, RegistryClient, RegistryError
from workers.registries.outside import OutsideClient
from workers.sources import guard
from workers.sources.image import stage
from workers.steps.contract import StepStopped, Stop, StopReason

MIB = 1 << 20


class _Endless(http.server.BaseHTTPRequestHandler):
    """Sends a body that does not end, until nobody takes it."""

    status, location = 200, ""
    sent: list[int]

    def do_GET(self) -> None:
        self.send_response(self.status)
        if self.location:
            self.send_header("Location", self.location)
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            while sum(self.sent) < 256 * MIB:
                self.sent.append(self.wfile.write(b"x" * MIB))
        except OSError:
            pass

    do_HEAD = do_POST = do_PUT = do_GET

    def log_message(self, *args: object) -> None: ...


@contextmanager
def endless(status: int, location: str = "") -> Iterator[tuple[str, list[int]]]:
    """The host of a server whose every answer is endless, and the bytes that it got rid of."""
    sent: list[int] = []
    handler = type("Handler", (_Endless,), {"status": status, "location": location, "sent": sent})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", sent
        server.shutdown()


@pytest.fixture
def open_way(settings: Any) -> Iterator[guard.Way]:
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"source_allow_hosts": "127.0.0.1"})
    with guard.open() as way:
        yield way


def named(host: str) -> Registry:
    return Registry(f"http://{host}", host, host)


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_refusal_without_end_is_read_a_little(open_way: guard.Way, status: int) -> None:
    with endless(status) as (host, sent), OutsideClient(named(host), open_way) as client:
        with pytest.raises(RegistryError) as refused:
            client.manifest("acme/model", "1.0")
        assert refused.value.status == status
    assert sum(sent) < 32 * MIB


def test_what_comes_with_a_redirect_is_not_read(open_way: guard.Way) -> None:
    with endless(302, "https://10.0.0.7/") as (host, sent), OutsideClient(named(host), open_way) as client:
        client.ping()
        with pytest.raises(ProblemError, match="SOURCE-ADDRESS-FORBIDDEN"):
            client.manifest("acme/model", "1.0")
    assert sum(sent) < 32 * MIB


def test_what_comes_with_a_redirect_of_any_server_is_not_read(open_way: guard.Way) -> None:
    with endless(302, "http://127.0.0.1:9/") as (host, sent), open_way.session() as session:
        session.get(f"http://{host}/", allow_redirects=False, stream=True, timeout=10).close()
    assert sum(sent) < 32 * MIB


def test_an_answer_that_nobody_needs_is_not_kept() -> None:
    with endless(200) as (host, sent), RegistryClient(named(host)) as client:
        client.put_manifest("acme/model", "1.0", Manifest(b"{}", DOCKER_MANIFEST))
    assert sum(sent) < 32 * MIB


def test_a_refusal_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    packed = gzip.compress(b" " * (64 * MIB))
    with scripted() as script:
        script.before = lambda *asked: Answer(403, {"Content-Encoding": "gzip"}, packed)
        with RegistryClient(named(script.host)) as client, pytest.raises(RegistryError) as refused:
            client.manifest("acme/model", "1.0")
    assert refused.value.status == 403


def test_a_refusals_own_words_are_told() -> None:
    body = b'{"errors": [{"code": "DENIED", "message": "not yours"}]}'
    with scripted() as script:
        script.before = lambda *asked: Answer(403, body=body)
        with RegistryClient(named(script.host)) as client, pytest.raises(RegistryError, match="not yours") as refused:
            client.manifest("acme/model", "1.0")
    assert refused.value.code == "DENIED"


@pytest.mark.parametrize("at", ["/token", "/manifests/", "/blobs/"])
@pytest.mark.usefixtures("open_way")
def test_a_registry_that_drips_is_left_as_soon_as_the_step_is_to_stop(tmp_path: Path, at: str) -> None:
    dripping, stop = threading.Event(), Stop()

    def before(method: str, path: str, headers: Any) -> Answer | None:
        if at in path:
            dripping.set()
            return Answer(body=b"x" * 2000, drip=True)
        if at == "/token" and path != "/v2/":
            return Answer(401, {"WWW-Authenticate": f'Bearer realm="http://{headers["Host"]}/token"'})
        return None

    def tell() -> None:
        dripping.wait(20)
        time.sleep(1)
        stop.set(StopReason.CANCELLED)

    with scripted() as script:
        script.put("1.0", image([b"a layer" * 1000]))
        script.before = before
        version = SimpleNamespace(image_reference=f"{script.host}/acme/model:1.0", image_digest="", credential=None)
        context: Any = SimpleNamespace(version=version, log=MemoryLog(), stop=stop, workdir=tmp_path)
        teller = threading.Thread(target=tell)
        teller.start()
        began = time.monotonic()
        with pytest.raises((StepStopped, ProblemError)):
            stage(context)
        teller.join()
    assert stop.reason is StopReason.CANCELLED
    assert time.monotonic() - began < 6


def test_a_way_that_was_cut_lets_nothing_more_through(open_way: guard.Way) -> None:
    with scripted() as script:
        open_way.cut()
        with pytest.raises(requests.ConnectionError):
            open_way.session().get(f"http://{script.host}/v2/", timeout=5)
