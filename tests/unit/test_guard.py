"""The guard on real sockets: what it lets through, what it refuses, and that it cannot be led past."""

from __future__ import annotations

import http.server
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from listings.problems import ProblemError
from workers.sources import guard
from workers.sources.guard_addresses import forbidden


class _Site(http.server.BaseHTTPRequestHandler):
    location = ""
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(f"{self.path} {self.headers.get('Proxy-Authorization', '-')}")
        self.send_response(302 if self.location else 200)
        if self.location:
            self.send_header("Location", self.location)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None: ...


@contextmanager
def site(location: str = "") -> Iterator[tuple[int, list[str]]]:
    """An HTTP server on a loopback port, and the requests that reached it."""
    seen: list[str] = []
    handler = type("Handler", (_Site,), {"location": location, "seen": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port, seen
        server.shutdown()


@pytest.fixture
def allow(settings: Any) -> Any:
    """Call with what the operator lists."""

    def to(hosts: str) -> None:
        settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"source_allow_hosts": hosts})

    return to


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "::1", "::", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1",
        "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "224.0.0.1", "255.255.255.255",
        "240.0.0.1", "192.0.0.192", "198.18.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "fe80::1%eth0",
        "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "3fff::1",
    ],
)  # fmt: skip
def test_no_special_address_may_be_reached(address):
    assert forbidden(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "140.82.121.4", "2606:50c0:8000::64", "64:ff9b::808:808"])
def test_public_addresses_may(address):
    assert forbidden(address) == ""


def test_a_listed_host_is_reached_and_learns_nothing_of_the_guard(allow):
    with site() as (port, seen), guard.open() as way:
        way.listed = {f"127.0.0.1:{port}"}
        assert way.session().get(f"http://127.0.0.1:{port}/x?y=1", timeout=5).text == "ok"
    assert seen == ["/x?y=1 -"]
    assert way.refusals == way.failures == []


def test_another_port_of_a_listed_host_is_not(allow):
    with site() as (port, seen):
        allow(f"127.0.0.1:{port + 1}")
        with guard.open() as way:
            assert way.session().get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 403
    assert seen == []
    with pytest.raises(ProblemError) as refused:
        way.raise_if_refused()
    assert refused.value.code == "SOURCE-ADDRESS-FORBIDDEN"


def test_a_name_that_leads_to_a_private_address_is_refused_with_both():
    with guard.open(lambda host, port: ["93.184.216.34", "10.0.0.7"]) as way, pytest.raises(requests.RequestException):
        way.session().get("https://innocent.example/", timeout=5)
    with pytest.raises(ProblemError) as refused:
        way.raise_if_refused()
    assert "innocent.example" in refused.value.report.evidence[0].text
    assert "10.0.0.7" in refused.value.report.evidence[0].text


def test_a_name_that_answers_differently_the_second_time_gains_nothing(monkeypatch):
    """The address that is judged is the one connected to: the second answer is never asked for."""
    answers, reached = [["93.184.216.34"], ["127.0.0.1"]], []

    def connect(address: Any, timeout: float) -> socket.socket:
        reached.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(guard.socket, "create_connection", connect)
    with guard.open(lambda host, port: answers.pop(0)) as way:
        assert way.connect("rebind.example", 443, plain=False) is None
        assert reached == [("93.184.216.34", 443)]
        assert way.failures[0].host == "rebind.example"
        assert way.connect("rebind.example", 443, plain=False) is None
    assert reached == [("93.184.216.34", 443)]
    assert way.refusals[0].address == "127.0.0.1"


def test_a_redirect_to_loopback_is_refused(allow):
    with site() as (inner, seen), site(f"http://127.0.0.1:{inner}/secret") as (outer, _):
        allow(f"127.0.0.1:{outer}")
        with guard.open() as way:
            assert way.session().get(f"http://127.0.0.1:{outer}/", timeout=5).status_code == 403
    assert seen == []
    assert way.refusals[0].port == inner


def test_plain_http_is_for_listed_hosts_only():
    with guard.open(lambda host, port: ["93.184.216.34"]) as way:
        assert way.session().get("http://public.example/", timeout=5).status_code == 403
    assert "not encrypted" in way.refusals[0].reason


def test_a_tunnel_carries_bytes_both_ways_for_a_child_process(allow):
    """curl, as git uses it: everything by the proxy of the environment, loopback too."""
    with site() as (port, seen):
        allow("127.0.0.1")
        with guard.open() as way:
            ran = subprocess.run(
                ["curl", "-sS", "-p", "--max-time", "10", f"http://127.0.0.1:{port}/tunnelled"],
                env={"PATH": "/usr/bin:/bin", **way.environment()}, capture_output=True, text=True, check=False,
            )  # fmt: skip
    assert (ran.stdout, ran.returncode) == ("ok", 0), ran.stderr
    assert seen == ["/tunnelled -"]


def test_without_its_password_the_guard_opens_nothing(allow):
    with site() as (port, seen):
        allow("127.0.0.1")
        with guard.open() as way:
            stranger = requests.Session()
            stranger.proxies = {"http": way.url.replace("slipway:", "slipway:x")}
            stranger.trust_env = False
            assert stranger.get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 407
    assert seen == []


def test_when_the_step_ends_the_way_is_closed():
    with guard.open() as way:
        port = int(way.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 5) as idle:
            idle.sendall(b"GET http://x")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 5)


def test_a_name_that_does_not_resolve_is_a_failure_with_its_reason():
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with guard.open(unknown) as way:
        assert way.connect("nowhere.example", 443, plain=False) is None
    assert (way.failures[0].host, way.failures[0].reason) == ("nowhere.example", "Name or service not known")
    way.raise_if_refused()
