"""A resolver that knows no name: it records each question and answers NXDOMAIN at once.

Questions about the container's own host name are answered with 127.0.0.1 and not recorded: they are no
call to anywhere.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress

from .recorder import DNS_PORT, Recorder

TYPES = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    64: "SVCB",
    65: "HTTPS",
    255: "ANY",
}
A = 1
NXDOMAIN, NOERROR = 0x8183, 0x8180
IP_PKTINFO, IPV6_RECVPKTINFO, IPV6_PKTINFO = 8, 49, 50
OWN_REVERSE = {"1.0.0.127.in-addr.arpa", "1." + "0." * 31 + "ip6.arpa"}


def parse_question(query: bytes) -> tuple[str, int, int]:
    """(name, type, offset past the question). Raises ValueError on a malformed query."""
    labels, position = [], 12
    try:
        while length := query[position]:
            if length > 63:
                raise ValueError("a compressed name in a question")
            labels.append(query[position + 1 : position + 1 + length].decode("ascii", "backslashreplace"))
            position += length + 1
        (kind,) = struct.unpack_from("!H", query, position + 1)
    except (IndexError, struct.error) as error:
        raise ValueError("cut short") from error
    return ".".join(labels).lower()[:255], kind, position + 5


class Resolver:
    def __init__(self, recorder: Recorder, own_names: Iterable[str]) -> None:
        self._recorder = recorder
        self._own = {name.lower() for name in own_names} | {"localhost"}

    def answer(self, query: bytes, server: str) -> bytes | None:
        """The answer to one query; None where it cannot be read. ``server``: the address that was asked."""
        try:
            name, kind, end = parse_question(query)
        except ValueError:
            self._recorder.add("dns", server, DNS_PORT, hint="a malformed query")
            return None
        question = query[12:end]
        if name in self._own or name in OWN_REVERSE:
            return self._own_answer(query, kind, question)
        self._recorder.add("dns", server, DNS_PORT, host=name, hint=TYPES.get(kind, f"type {kind}"))
        return query[:2] + struct.pack("!HHHHH", NXDOMAIN, 1, 0, 0, 0) + question

    @staticmethod
    def _own_answer(query: bytes, kind: int, question: bytes) -> bytes:
        header = query[:2] + struct.pack("!HHHHH", NOERROR, 1, 1 if kind == A else 0, 0, 0) + question
        if kind != A:
            return header
        return header + struct.pack("!HHHIH", 0xC00C, A, 1, 60, 4) + socket.inet_aton("127.0.0.1")


def serve_udp(loop: asyncio.AbstractEventLoop, resolver: Resolver, family: int) -> None:
    """Answer on port 53 of every address, from the address that was asked. Raises OSError."""
    channel = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        channel.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        channel.bind(("::", DNS_PORT))
    else:
        channel.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        channel.bind(("0.0.0.0", DNS_PORT))  # noqa: S104  inside a namespace that leads nowhere
    channel.setblocking(False)
    loop.add_reader(channel, _read_udp, channel, resolver, family)


def _read_udp(channel: socket.socket, resolver: Resolver, family: int) -> None:
    for _ in range(64):
        try:
            query, ancillary, _, client = channel.recvmsg(4096, 256)
        except (BlockingIOError, ConnectionError):
            return
        asked = _asked_address(ancillary, family)
        reply = resolver.answer(query, socket.inet_ntop(family, asked))
        if reply is None:
            continue
        if family == socket.AF_INET6:
            source = (socket.IPPROTO_IPV6, IPV6_PKTINFO, asked + bytes(4))
        else:
            source = (socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + asked + bytes(4))
        with suppress(OSError):  # the asker is gone
            channel.sendmsg([reply], [source], 0, client)


def _asked_address(ancillary: list[tuple[int, int, bytes]], family: int) -> bytes:
    for _, kind, data in ancillary:
        if family == socket.AF_INET and kind == IP_PKTINFO:
            return data[8:12]
        if family == socket.AF_INET6 and kind == IPV6_PKTINFO:
            return data[:16]
    return bytes(4 if family == socket.AF_INET else 16)


async def serve_tcp(resolver: Resolver, addresses: Iterable[str]) -> None:
    """Answer by TCP on port 53 of loopback only: a connect to 8.8.8.8:53, a common way to ask "am I online?",
    must be refused like any other. Raises OSError."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (length,) = struct.unpack("!H", await asyncio.wait_for(reader.readexactly(2), 5))
            reply = resolver.answer(await asyncio.wait_for(reader.readexactly(length), 5), "127.0.0.1")
            if reply is not None:
                writer.write(struct.pack("!H", len(reply)) + reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            return
        finally:
            writer.close()

    for address in addresses:
        await asyncio.start_server(one, address, DNS_PORT)
