"""What the container says on a connection that leads nowhere: the server's name in TLS, the line of an HTTP request.

Everything in here reads bytes of a stranger: each length is checked against what is there.
"""

from __future__ import annotations

import re
import struct

MAX_BYTES = 16 << 10
MAX_TEXT = 160
TLS_HANDSHAKE, CLIENT_HELLO, SERVER_NAME = 0x16, 1, 0
TLS_REFUSAL = b"\x15\x03\x01\x00\x02\x02\x28"  # a fatal alert: handshake failure
HTTP_REFUSAL = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_REQUEST = re.compile(rb"[A-Z]{3,16} [^ \r\n]+ HTTP/1\.[01]\r?\n")
_MAYBE_REQUEST = re.compile(rb"[A-Z]{1,16}( [^\r\n]*)?\r?\Z")
_HOST = re.compile(rb"\r?\nHost: *([^\r\n]{1,255})", re.IGNORECASE)


def understand(data: bytes) -> tuple[str, bytes] | None:
    """(what was said, the answer that ends the conversation); None where more has to be heard first."""
    full = len(data) >= MAX_BYTES
    if data[0] == TLS_HANDSHAKE:
        if len(data) < 5 or (len(data) < 5 + int.from_bytes(data[3:5], "big") and not full):
            return None
        return _hello(data), TLS_REFUSAL
    if request := _REQUEST.match(data):
        if b"\r\n\r\n" not in data and b"\n\n" not in data and not full:
            return None
        host = _HOST.search(data)
        line = _text(request.group().rsplit(b" ", 1)[0])
        return line + (f" (Host: {_text(host.group(1))})" if host else ""), HTTP_REFUSAL
    if _MAYBE_REQUEST.match(data) and not full:
        return None
    return f"says {_text(data.splitlines()[0] if data.strip() else data)!r}", b""


def _hello(data: bytes) -> str:
    try:
        name = server_name(data)
    except (IndexError, struct.error):
        return "tls, malformed"
    return f"tls {name}" if name else "tls without a name"


def server_name(record: bytes) -> str:
    """The name that a ClientHello asks for, "" where none. Raises IndexError, struct.error."""
    if record[5] != CLIENT_HELLO:
        return ""
    position = 5 + 4 + 2 + 32  # record, message, version, random
    position += 1 + record[position]  # session
    position += 2 + struct.unpack_from("!H", record, position)[0]  # ciphers
    position += 1 + record[position]  # compression
    end = position + 2 + struct.unpack_from("!H", record, position)[0]
    position += 2
    while position + 4 <= min(end, len(record)):
        kind, length = struct.unpack_from("!HH", record, position)
        if kind == SERVER_NAME:
            _, entry, size = struct.unpack_from("!HBH", record, position + 4)
            return _text(record[position + 9 : position + 9 + size]) if entry == 0 else ""
        position += 4 + length
    return ""


def _text(raw: bytes) -> str:
    text = raw[:MAX_TEXT].decode("ascii", "backslashreplace")
    return "".join(letter if letter.isprintable() else "." for letter in text)
