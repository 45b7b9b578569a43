"""A bounded account of the calls among the packets on ``lo``."""

from __future__ import annotations

import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

from . import packets
from .packets import ACK, DNS_PORT, NAMESERVER, SYN, Packet

MAX_RECORDS = 500
MAX_FLOWS = 4096
MAX_HINTS = 6
MAX_DETAILS = 12
ICMP_ECHO, ICMPV6_ECHO = 8, 128
IS_ANSWER = 0x80  # a bit of the third byte of a DNS message


@dataclass(slots=True)
class Record:
    """Calls of one kind to one place. Times are seconds since the recorder started. ``details``: what was said."""

    protocol: str  # "dns" | "tcp" | "udp" | "icmp" | "ip<number>"
    host: str
    address: str
    port: int
    count: int
    first_seconds: float
    last_seconds: float
    hints: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)


class Recorder:
    """Bounded: after ``MAX_RECORDS`` different places further ones are only counted, in ``overflow``.

    ``names``: address -> the name that was given it. ``ask``: called with each question of DNS, (packet, message).
    """

    def __init__(
        self, names: Mapping[str, str] | None = None, ask: Callable[[Packet, bytes], None] | None = None
    ) -> None:
        self._start = time.monotonic()
        self._names = {} if names is None else names
        self._ask = ask
        self._records: dict[tuple[str, str, str, int], Record] = {}
        self._flows: OrderedDict[tuple[object, ...], None] = OrderedDict()
        #: Addresses of the job's hosts, this one's included: a call to one of them is no call to elsewhere.
        self.own: frozenset[str] = frozenset()
        self.overflow = 0
        self.dropped = 0

    def restart(self) -> None:
        """Begin anew, now: called as the container under test starts."""
        self._start = time.monotonic()
        self._records.clear()

    def add(self, protocol: str, address: str, port: int, *, host: str = "", hint: str = "") -> None:
        now = round(time.monotonic() - self._start, 3)
        key = self._key(protocol, address, port, host)
        record = self._records.get(key)
        if record is None:
            if len(self._records) >= MAX_RECORDS:
                self.overflow += 1
                return
            record = self._records[key] = Record(protocol, key[1], address, port, 0, now, now)
        record.count += 1
        record.last_seconds = now
        _append(record.hints, hint, MAX_HINTS)

    def note(self, protocol: str, address: str, port: int, *, hint: str = "", detail: str = "") -> None:
        """More about a place already on record."""
        record = self._records.get(self._key(protocol, address, port, ""))
        if record is not None:
            _append(record.hints, hint, MAX_HINTS)
            _append(record.details, detail, MAX_DETAILS)

    def as_json(self) -> dict[str, object]:
        return {
            "attempts": [asdict(record) for record in self._records.values()],
            "overflow": self.overflow,
            "dropped_packets": self.dropped,
            "seconds": round(time.monotonic() - self._start, 3),
        }

    def packet(self, data: bytes) -> None:
        """One IP packet's first bytes. A truncated or odd one is counted under its protocol number."""
        try:
            packet = packets.parse(data)
            if packet is not None:
                self._call(packet)
        except (IndexError, struct.error, ValueError):
            self.add("malformed", "", 0)

    def _key(self, protocol: str, address: str, port: int, host: str) -> tuple[str, str, str, int]:
        return protocol, host or self._names.get(address, ""), address, port

    def _call(self, packet: Packet) -> None:
        target = packet.target
        if self._is_own(target):
            if not self._is_own(packet.source):
                self._answer(packet)
            return
        if packet.protocol == socket.IPPROTO_TCP:
            self._tcp(packet)
        elif packet.protocol == socket.IPPROTO_UDP:
            self._udp(packet)
        elif packet.protocol in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6):
            if packet.payload[0] in (ICMP_ECHO, ICMPV6_ECHO):
                self.add("icmp", target, 0)
        else:
            self.add(f"ip{packet.protocol}", target, 0)

    def _is_own(self, address: str) -> bool:
        return address.startswith("127.") or address == "::1" or address in self.own

    def _answer(self, packet: Packet) -> None:
        """The container itself listens on the port it called, so that its call to elsewhere reached itself."""
        if packet.protocol == socket.IPPROTO_TCP:
            segment = packets.segment(packet.payload)
            if segment.flags & SYN and segment.flags & ACK:
                self.note("tcp", packet.source, segment.source_port, hint="answered by itself")
        elif packet.protocol == socket.IPPROTO_UDP:
            source_port, port = struct.unpack_from("!HH", packet.payload)
            if (packet.target, port, packet.source, source_port) in self._flows:
                self.note("udp", packet.source, source_port, hint="answered by itself")

    def _tcp(self, packet: Packet) -> None:
        segment = packets.segment(packet.payload)
        if not segment.flags & SYN:
            return
        if segment.flags & ACK:
            self._answer(packet)
        elif (packet.target, segment.port) == (NAMESERVER, DNS_PORT):
            return  # the resolver records these, by name
        elif self._is_new(packet.source, segment.source_port, packet.target, segment.port, segment.seq):
            self.add("tcp", packet.target, segment.port)

    def _udp(self, packet: Packet) -> None:
        source_port, port = struct.unpack_from("!HH", packet.payload)
        message = packet.payload[8:]
        is_answer = len(message) > 2 and bool(message[2] & IS_ANSWER)
        if port == DNS_PORT:
            if self._ask is not None and not is_answer:
                self._ask(packet, message)
            return
        if source_port == DNS_PORT and is_answer:
            return
        if (packet.target, port, packet.source, source_port) in self._flows:
            self.note("udp", packet.source, source_port, hint="answered by itself")
            return
        self._is_new(packet.source, source_port, packet.target, port)
        self.add("udp", packet.target, port)

    def _is_new(self, *flow: object) -> bool:
        """Whether it is no repetition of one of the last calls, as the kernel makes where no answer comes."""
        if flow in self._flows:
            return False
        self._flows[flow] = None
        if len(self._flows) > MAX_FLOWS:
            self._flows.popitem(last=False)
        return True


def _append(texts: list[str], text: str, most: int) -> None:
    if text and text not in texts and len(texts) < most:
        texts.append(text)
