"""Many requests from parallel clients, measured beside the server: latencies, errors, and /ping meanwhile.

Each request opens a connection of its own. How SageMaker does it is not documented; a new connection never trips over
a server that closes idle ones, and its cost is part of what ``overhead`` measures.
"""

from __future__ import annotations

import base64
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Any

from .prober import PORT, exchange, name_of

UPPER_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000)
MAX_CLIENTS, MAX_REQUESTS = 32, 20_000
MAX_HEAD_BYTES = 64 * 1024
READ_BYTES = 64 * 1024
#: Of what one container of a pipeline hands on, several copies for each client are held at once.
MAX_HANDED_ON = 4 << 20
#: SageMaker wants a connection accepted within 250 ms. On this host the kernel accepts at once, unless the server's
#: queue is full: then it comes a second later. What is shorter is a busy host's doing.
SLOW_CONNECT_MS = 900.0
PING_EVERY_SECONDS, PING_TIMEOUT_SECONDS = 0.2, 5.0
PING = b"GET /ping HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\r\n"
#: Answers whatever is asked on a free port, which it prints first: what a measurement of the prober runs against.
TRIVIAL_SERVER = """
import socket
door = socket.create_server(("127.0.0.1", 0), backlog=64)
print(door.getsockname()[1], flush=True)
while True:
    guest, _ = door.accept()
    with guest:
        guest.recv(65536)
        guest.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
"""


class _Tally:
    """Latencies of one kind of request and how each ended."""

    def __init__(self) -> None:
        self.ms: list[float] = []
        self.ends: Counter[str] = Counter()
        self.slow_connects = 0

    def take(self, end: str, ms: float, connect_ms: float) -> None:
        self.ms.append(ms)
        self.ends[end] += 1
        self.slow_connects += connect_ms > SLOW_CONNECT_MS

    @property
    def errors(self) -> int:
        return sum(count for end, count in self.ends.items() if not end.startswith("2"))

    def percentile(self, share: float) -> float:
        """The smallest latency that ``share`` of all do not exceed; 0 where there are none."""
        ordered = sorted(self.ms)
        return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)] if ordered else 0.0

    def histogram(self) -> list[list[float]]:
        """[upper bound in ms, how many were above the bound before it and not above this one], empty ends left out."""
        counts = [[float(upper), 0] for upper in UPPER_MS]
        for value in self.ms:
            next((bucket for bucket in counts if value <= bucket[0]), counts[-1])[1] += 1
        filled = [index for index, bucket in enumerate(counts) if bucket[1]]
        return counts[filled[0] : filled[-1] + 1] if filled else []


def run(command: dict[str, Any]) -> dict[str, Any]:
    """``command``: clients, requests and seconds (whichever is first), timeout of one request in seconds, path,
    headers, body (base64), ports (or port). With several ports each request goes through all, see prober.exchange.
    What was begun is waited for: it takes ``seconds`` and ``timeout`` at most."""
    body = base64.b64decode(command.get("body", ""))
    message = _message(str(command.get("path", "/invocations")), command.get("headers", {}), body)
    timeout = float(command.get("timeout", 60.0))
    ports = [int(port) for port in command.get("ports") or [command.get("port", PORT)]]
    numbers = itertools.count()
    most = min(int(command["requests"]), MAX_REQUESTS)
    tally, pings, lock, ended = _Tally(), _Tally(), threading.Lock(), threading.Event()
    begun = time.monotonic()
    until = begun + float(command["seconds"])

    def client() -> None:
        while time.monotonic() < until:
            with lock:
                if next(numbers) >= most:
                    return
            found = _once(ports[0], message, timeout) if len(ports) == 1 else _chained(command, ports, timeout)
            with lock:
                tally.take(*found)

    def pinger() -> None:
        while not ended.is_set():
            for port in ports:
                if ended.is_set():
                    break
                pings.take(*_once(port, PING, PING_TIMEOUT_SECONDS))
            ended.wait(PING_EVERY_SECONDS)

    clients = [threading.Thread(target=client, daemon=True) for _ in range(min(int(command["clients"]), MAX_CLIENTS))]
    beside = [threading.Thread(target=pinger, daemon=True)] if command.get("ping", True) else []
    for thread in clients + beside:
        thread.start()
    for thread in clients:
        thread.join()
    seconds = time.monotonic() - begun
    ended.set()
    for thread in beside:
        thread.join()
    return _figures(tally, pings, seconds, len(clients))


def overhead(command: dict[str, Any]) -> dict[str, Any]:
    """What the prober itself costs a request: ``requests`` of one client against a server that does nothing."""
    with subprocess.Popen([sys.executable, "-S", "-c", TRIVIAL_SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            wanted = {"clients": 1, "requests": int(command.get("requests", 1000)), "seconds": 20, "timeout": 5}
            body = base64.b64encode(b"1,2,3\n").decode()
            return run({**wanted, "port": port, "ping": False, "body": body, "headers": {"Content-Type": "text/csv"}})
        finally:
            server.kill()


def _figures(tally: _Tally, pings: _Tally, seconds: float, clients: int) -> dict[str, Any]:
    count = len(tally.ms)
    return {
        "clients": clients,
        "requests": count,
        "errors": tally.errors,
        "ends": dict(tally.ends.most_common(20)),
        "seconds": round(seconds, 3),
        "throughput": round(count / seconds, 2) if seconds else 0.0,
        "p50_ms": tally.percentile(0.5),
        "p90_ms": tally.percentile(0.9),
        "p99_ms": tally.percentile(0.99),
        "max_ms": max(tally.ms, default=0.0),
        "histogram": tally.histogram(),
        "slow_connects": tally.slow_connects + pings.slow_connects,
        "pings": len(pings.ms),
        "ping_ends": dict(pings.ends.most_common(20)),
        "ping_p99_ms": pings.percentile(0.99),
        "ping_max_ms": max(pings.ms, default=0.0),
    }


def _message(path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = {"Host": f"127.0.0.1:{PORT}", "Connection": "close", **headers, "Content-Length": str(len(body))}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    return head.encode("latin-1") + body


def _once(port: int, message: bytes, timeout: float) -> tuple[str, float, float]:
    """(status or what went wrong, milliseconds of the whole exchange, of the connecting)."""
    begun = time.monotonic()
    connect_ms = 0.0
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as channel:
            connect_ms = (time.monotonic() - begun) * 1000
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            channel.sendall(message)
            end = _read(channel, begun + timeout)
    except (OSError, ValueError) as error:
        end = name_of(error)
    return end, round((time.monotonic() - begun) * 1000, 3), connect_ms


def _chained(command: dict[str, Any], ports: list[int], timeout: float) -> tuple[str, float, float]:
    """As ``_once``, through the containers of a pipeline; connecting is not timed."""
    sent: dict[str, Any] = {name: command[name] for name in ("headers", "body") if name in command}
    sent |= {"method": "POST", "path": command.get("path", "/invocations"), "ports": ports, "timeout": timeout}
    found = exchange({**sent, "max_bytes": 1, "most_handed_on": MAX_HANDED_ON})
    return str(found.get("status") or found["error"]), found["ms"], 0.0


def _read(channel: socket.socket, deadline: float) -> str:
    """The status of an answer that arrived whole. Raises OSError, ValueError."""
    head = bytearray()
    while (split := head.find(b"\r\n\r\n")) < 0:
        chunk = _receive(channel, deadline)
        if not chunk:
            raise ConnectionResetError("closed before an answer")
        head += chunk
        if len(head) > MAX_HEAD_BYTES + READ_BYTES:
            raise ValueError("a head without end")
    first, *fields = bytes(head[:split]).split(b"\r\n")
    words = first.split(b" ", 2)
    status = int(words[1]) if first.startswith(b"HTTP/1.") and len(words) > 1 else 0
    if not 100 <= status <= 599:
        raise ValueError("not an HTTP answer")
    named = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in fields)}
    length = int(named[b"content-length"]) if b"content-length" in named else None
    chunked = named.get(b"transfer-encoding", b"").lower() == b"chunked"
    got, tail = len(head) - split - 4, bytes(head[split + 4 :][-5:])
    while got < length if length is not None else not (chunked and tail == b"0\r\n\r\n"):
        chunk = _receive(channel, deadline)
        if not chunk:
            if length is not None or chunked:
                raise ConnectionResetError("closed within the answer")
            break  # an answer without a length ends with the connection
        got, tail = got + len(chunk), (tail + chunk)[-5:]
    return str(status)


def _receive(channel: socket.socket, deadline: float) -> bytes:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the answer had not ended")
    channel.settimeout(left)
    return channel.recv(READ_BYTES)
