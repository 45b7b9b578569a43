"""The prober and the load against servers that answer in odd ways; each is a thread on a free port."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from workers.sandbox.holder import load, prober

Talk = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(talk: Talk) -> Iterator[int]:
    """Accept every connection and let ``talk`` answer it, in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as door:

        def guest(channel: socket.socket) -> None:
            with channel, contextlib.suppress(OSError):
                talk(channel)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=guest, args=(door.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)


def says(*parts: bytes, pause: float = 0.0) -> Talk:
    def talk(channel: socket.socket) -> None:
        channel.recv(65536)
        for part in parts:
            channel.sendall(part)
            time.sleep(pause)

    return talk


def drip(channel: socket.socket) -> None:
    channel.recv(65536)
    channel.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        channel.sendall(b"x")
        time.sleep(0.05)


def many(port: int, **command: object) -> dict[str, object]:
    return load.run({"clients": 2, "requests": 6, "seconds": 5, "timeout": 1.0, "port": port, "ping": False, **command})


@pytest.mark.parametrize(
    ("talk", "end"),
    [
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", b"k", pause=0.05), "200"),
        (says(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), "204"),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", b"\r\n", pause=0.05), "200"),
        (says(b"HTTP/1.0 503 Busy\r\n\r\nlater"), "503"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), "closed"),
        (says(b""), "closed"),
        (says(b"hello\r\n\r\n"), "not-http"),
        (says(b"HTTP/1.1 abc\r\n\r\n"), "not-http"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), "not-http"),
        (says(b"X" * 200_000), "not-http"),
        (drip, "timeout"),
    ],
    ids=["in two parts", "no body", "chunked", "until the end", "short", "nothing", "no HTTP", "no status", "no length",
         "no end of the head", "dripping"],
)  # fmt: skip
def test_each_answer_under_load_is_named(talk: Talk, end: str) -> None:
    with server(talk) as port:
        begun = time.monotonic()
        figures = many(port)
    assert figures["ends"] == {end: 6}
    assert figures["errors"] == (0 if end.startswith("2") else 6)
    assert time.monotonic() - begun < 20


def test_nobody_at_the_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    assert many(port)["ends"] == {"refused": 6}


def test_a_load_ends_with_its_time_and_its_requests() -> None:
    with server(says(b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", pause=0.3)) as port:
        figures = many(port, requests=10_000, seconds=0.5)
    assert 2 <= figures["requests"] <= 6
    assert figures["p50_ms"] <= figures["p90_ms"] <= figures["p99_ms"] <= figures["max_ms"]
    assert sum(count for _, count in figures["histogram"]) == figures["requests"]  # type: ignore[attr-defined]


def test_percentiles_are_of_what_was_measured() -> None:
    tally = load._Tally()
    for ms in range(1, 101):
        tally.take("200", float(ms), 0.0)
    assert [tally.percentile(share) for share in (0.5, 0.9, 0.99, 1.0)] == [50.0, 90.0, 99.0, 100.0]
    assert tally.histogram() == [[1.0, 1], [2.0, 1], [5.0, 3], [10.0, 5], [20.0, 10], [50.0, 30], [100.0, 50]]


def test_a_refusal_before_the_body_was_read_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(channel: socket.socket) -> None:
        channel.recv(1000)
        channel.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        channel.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + 5
        while channel.recv(65536) and time.monotonic() < deadline:  # nginx lingers so, too
            pass

    with server(refuse) as port:
        monkeypatch.setattr(prober, "PORT", port)
        padding = base64.b64encode(b"1,2\n").decode()
        found = prober.exchange(
            {"method": "POST", "path": "/invocations", "padding": padding, "padding_times": 2_000_000, "timeout": 20}
        )
    assert (found["status"], found["bytes"]) == (413, 3)


def test_padding_is_bounded() -> None:
    def count(channel: socket.socket) -> None:
        got = b""
        # To its end: a server that closes before has its answer thrown away with the rest of the request.
        while len(got.partition(b"\r\n\r\n")[2]) < 1000:
            got += channel.recv(1000)
        channel.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + got.partition(b"\r\n\r\n")[0] + b"\r\n")

    with pytest.MonkeyPatch.context() as patch, server(count) as port:
        patch.setattr(prober, "PORT", port)
        patch.setattr(prober, "MAX_BODY_BYTES", 1000)
        padding = base64.b64encode(b"abcd").decode()
        found = prober.exchange(
            {"method": "POST", "path": "/", "padding": padding, "padding_times": 10**9, "timeout": 5}
        )
    assert b"Content-Length: 1000\r\n" in base64.b64decode(found["body"])


def test_a_bare_status_line_is_counted_as_no_http() -> None:
    def bare(channel: socket.socket) -> None:
        channel.recv(4096)
        channel.sendall(b"HTTP/1.1\r\n\r\n")

    with server(bare) as port:
        figures = load.run({"clients": 2, "requests": 6, "seconds": 5, "timeout": 2, "port": port, "ping": False})
    assert (figures["requests"], figures["errors"]) == (6, 6)


def reply(body: bytes, kind: bytes) -> Talk:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (kind, len(body))
    return says(head + body)


def test_a_load_goes_through_the_containers_of_a_pipeline_and_pings_each() -> None:
    heard: list[bytes] = []

    def last(channel: socket.socket) -> None:
        got = b""
        while not got.endswith((b"2;4", b"\r\n\r\n")) or got.startswith(b"POST") and b"2;4" not in got:
            got += channel.recv(65536)
        heard.append(got)
        channel.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    body = base64.b64encode(b"1;2").decode()
    headers = {"Content-Type": "text/csv", "Accept": "text/plain"}
    with server(reply(b"2;4", b"text/x-doubled")) as first, server(last) as second:
        figures = many(0, ports=[first, second], body=body, headers=headers, ping=True)
    assert figures["ends"] == {"200": 6}
    posts = [each.lower() for each in heard if each.startswith(b"POST")]
    assert len(posts) == 6
    assert all(b"content-type: text/x-doubled" in each and b"accept: text/plain" in each for each in posts)
    assert figures["ping_ends"] == {"200": 2 * (len(heard) - 6)}


def test_under_load_the_container_that_breaks_a_request_ends_it() -> None:
    with server(says(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")) as first, server(drip) as second:
        assert many(0, ports=[first, second])["ends"] == {"503": 6}


def test_an_answer_too_large_to_hand_on_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MAX_HANDED_ON", 10)
    with server(reply(b"x" * 11, b"text/plain")) as first, server(drip) as second:
        assert many(0, ports=[first, second])["ends"] == {"too-large": 6}
