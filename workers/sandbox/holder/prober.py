"""Speaks HTTP to the container under test, with a deadline on the whole exchange and a bounded answer."""

from __future__ import annotations

import base64
import hashlib
import http.client
import socket
import threading
import time
from contextlib import suppress
from typing import Any

PORT = 8080
READ_BYTES = 64 * 1024
MAX_BODY_BYTES = 101 << 20
#: What one container of a pipeline may hand on to the next: several copies of it are held at once.
MAX_HANDED_ON = 32 << 20


def exchange(command: dict[str, Any]) -> dict[str, Any]:
    """One request to 127.0.0.1. ``command``: ports (8080 if none), method, path, headers, body (base64), padding
    (base64) that follows it padding_times, timeout (seconds), max_bytes of the answer to hand back, most_handed_on of
    an answer that goes on to the next port.

    With several ports, each good answer is the request to the next, as SageMaker chains the containers of a pipeline;
    Accept goes to the last. The result has ``link`` (the index of the port it comes from), ``ms`` of the whole, and
    either ``status`` or ``error`` (a word of name_of, or too-large)."""
    ports = command.get("ports") or [PORT]
    until = time.monotonic() + float(command.get("timeout", 2.0))
    accept = {name: value for name, value in command.get("headers", {}).items() if name.lower() == "accept"}
    headers = {name: value for name, value in command.get("headers", {}).items() if name not in accept}
    most = int(command.get("most_handed_on", MAX_HANDED_ON))
    sent, spent = dict(command), 0.0
    for link, port in enumerate(ports):
        is_last = link == len(ports) - 1
        sent["headers"] = {**headers, **(accept if is_last else {})}
        sent["max_bytes"] = command.get("max_bytes", 1 << 20) if is_last else most
        sent["timeout"] = max(0.001, until - time.monotonic())
        found = _exchange(port, sent)
        spent += found["ms"]
        if is_last or not 200 <= found.get("status", 0) < 300:
            break
        if found["bytes"] > most:
            found = {"error": "too-large", "detail": f"more than {most} bytes to hand on", "ms": found["ms"]}
            break
        headers["Content-Type"] = found["headers"].get("content-type", "application/octet-stream")
        sent = {**command, "body": found["body"], "padding": "", "padding_times": 0}
    if link < len(ports) - 1 and "body" in found:
        # The worker shows the beginning of it.
        found["body"] = base64.b64encode(
            base64.b64decode(found["body"])[: int(command.get("max_bytes", 1 << 20))]
        ).decode()
    return {**found, "ms": round(spent, 3), "link": link}


def _exchange(port: int, command: dict[str, Any]) -> dict[str, Any]:
    started = time.monotonic()
    deadline = float(command["timeout"])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=deadline)
    expired = threading.Event()
    try:
        connection.connect()
        # A timeout per read does not end an answer that drips: this ends the exchange as a whole. The socket is
        # taken now: http.client forgets it once an answer without a length has begun.
        timer = threading.Timer(deadline, _cut, (connection.sock, expired))
        timer.daemon = True
        timer.start()
        try:
            found = _talk(connection, command, started)
        finally:
            timer.cancel()
        if expired.is_set():
            raise TimeoutError("the answer had not ended")
        return found
    except (OSError, http.client.HTTPException, ValueError) as error:
        name = "timeout" if expired.is_set() else name_of(error)
        return {"error": name, "detail": str(error)[:300], "ms": _ms(started)}
    finally:
        connection.close()


def _talk(connection: http.client.HTTPConnection, command: dict[str, Any], started: float) -> dict[str, Any]:
    body = base64.b64decode(command.get("body", ""))
    padding = base64.b64decode(command.get("padding", ""))
    body += padding * min(int(command.get("padding_times", 0)), MAX_BODY_BYTES // max(1, len(padding)))
    method = str(command.get("method", "GET"))
    # A server that refuses a body may answer and close before it has read it: its answer is there all the same.
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, str(command["path"]), body=body or None, headers=command.get("headers", {}))
    answer = connection.getresponse()
    first_byte = _ms(started)
    kept, total, digest = bytearray(), 0, hashlib.sha256()
    limit = int(command.get("max_bytes", 1 << 20))
    while chunk := answer.read(READ_BYTES):
        total += len(chunk)
        digest.update(chunk)
        kept += chunk[: max(0, limit - len(kept))]
    headers = {name.lower()[:100]: value[:1000] for name, value in answer.getheaders()[:64]}
    return {
        "status": answer.status,
        "headers": headers,
        "body": base64.b64encode(kept).decode("ascii"),
        "bytes": total,
        "sha256": digest.hexdigest(),
        "first_byte_ms": first_byte,
        "ms": _ms(started),
    }


def _cut(channel: socket.socket, expired: threading.Event) -> None:
    expired.set()
    with suppress(OSError):  # closed in the meantime
        channel.shutdown(socket.SHUT_RDWR)


def _ms(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)


def name_of(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)):
        return "closed"
    if isinstance(error, (http.client.HTTPException, ValueError)):
        return "not-http"
    return "io"
