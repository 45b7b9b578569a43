"""Sees every packet on ``lo`` and keeps a bounded account of the calls among them."""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, field

MAX_RECORDS = 500
MAX_FLOWS = 4096
MAX_HINTS = 6
SNAP_BYTES = 128
SOCKET_BUFFER_BYTES = 32 << 20  # some 30,000 packets while this program waits for its turn
ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33
PACKET_OUTGOING = 4
ICMP_ECHO, ICMPV6_ECHO = 8, 128
DNS_PORT = 53

# Classic BPF, so that the container's own loopback traffic never reaches Python: keep outgoing packets whose
# destination is neither 127.0.0.0/8 nor ::1. Each: (code, jump if true, jump if false, operand).
_FILTER = (
    (0x20, 0, 0, 0xFFFFF004),  # 0 the packet's type, from the kernel's own data (SKF_AD_OFF + SKF_AD_PKTTYPE)
    (0x15, 0, 15, PACKET_OUTGOING),  # 1 lo shows each packet twice, going out and coming in
    (0x30, 0, 0, 0),  # 2 first byte
    (0x54, 0, 0, 0xF0),  # 3
    (0x15, 0, 2, 0x40),  # 4 version 4?
    (0x30, 0, 0, 16),  # 5 first byte of the destination
    (0x15, 10, 9, 127),  # 6
    (0x15, 0, 9, 0x60),  # 7 version 6?
    (0x20, 0, 0, 24),  # 8 the destination's four words
    (0x15, 0, 6, 0),  # 9
    (0x20, 0, 0, 28),  # 10
    (0x15, 0, 4, 0),  # 11
    (0x20, 0, 0, 32),  # 12
    (0x15, 0, 2, 0),  # 13
    (0x20, 0, 0, 36),  # 14
    (0x15, 1, 0, 1),  # 15
    (0x06, 0, 0, SNAP_BYTES),  # 16 keep
    (0x06, 0, 0, 0),  # 17 leave out
)


@dataclass(slots=True)
class Record:
    """Calls of one kind to one place. Times are seconds since the recorder started."""

    protocol: str  # "dns" | "tcp" | "udp" | "icmp" | "ip<number>"
    host: str
    address: str
    port: int
    count: int
    first_seconds: float
    last_seconds: float
    hints: list[str] = field(default_factory=list)


class Recorder:
    """Bounded: after ``MAX_RECORDS`` different places further ones are only counted, in ``overflow``."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._records: dict[tuple[str, str, str, int], Record] = {}
        self._flows: OrderedDict[tuple[str, int, str, int], None] = OrderedDict()
        self.overflow = 0
        self.dropped = 0

    def restart(self) -> None:
        """Count time from now: called as the container under test starts."""
        self._start = time.monotonic()

    def add(self, protocol: str, address: str, port: int, *, host: str = "", hint: str = "") -> None:
        now = round(time.monotonic() - self._start, 3)
        key = (protocol, host, address, port)
        record = self._records.get(key)
        if record is None:
            if len(self._records) >= MAX_RECORDS:
                self.overflow += 1
                return
            record = self._records[key] = Record(protocol, host, address, port, 0, now, now)
        record.count += 1
        record.last_seconds = now
        self._hint(record, hint)

    def answered(self, protocol: str, address: str, port: int) -> None:
        """The container itself listens on the port it called, so that its call to elsewhere reached itself."""
        record = self._records.get((protocol, "", address, port))
        if record is not None:
            self._hint(record, "answered by itself")

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
            self._packet(data)
        except (IndexError, struct.error, ValueError):
            self.add("malformed", "", 0)

    def _packet(self, data: bytes) -> None:
        if data[0] >> 4 == 4:
            family, protocol, offset = socket.AF_INET, data[9], (data[0] & 15) * 4
            source, target = data[12:16], data[16:20]
        elif data[0] >> 4 == 6:
            family, protocol, offset = socket.AF_INET6, data[6], 40
            source, target = data[8:24], data[24:40]
        else:
            return
        self._call(data, protocol, offset, socket.inet_ntop(family, source), socket.inet_ntop(family, target))

    def _call(self, data: bytes, protocol: int, offset: int, source: str, target: str) -> None:
        if target.startswith("127.") or target == "::1":
            return
        if protocol == socket.IPPROTO_TCP:
            self._tcp(data, offset, source, target)
        elif protocol == socket.IPPROTO_UDP:
            self._udp(data, offset, source, target)
        elif protocol in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6):
            if data[offset] in (ICMP_ECHO, ICMPV6_ECHO):
                self.add("icmp", target, 0)
        else:
            self.add(f"ip{protocol}", target, 0)

    def _tcp(self, data: bytes, offset: int, source: str, target: str) -> None:
        source_port, port = struct.unpack_from("!HH", data, offset)
        syn, ack = data[offset + 13] & 0x02, data[offset + 13] & 0x10
        if syn and not ack:
            self.add("tcp", target, port)
        elif syn and ack:
            self.answered("tcp", source, source_port)

    def _udp(self, data: bytes, offset: int, source: str, target: str) -> None:
        source_port, port = struct.unpack_from("!HH", data, offset)
        if DNS_PORT in (source_port, port):
            return  # the resolver records these, by name
        if (target, port, source, source_port) in self._flows:
            self.answered("udp", source, source_port)
            return
        self._flows[(source, source_port, target, port)] = None
        if len(self._flows) > MAX_FLOWS:
            self._flows.popitem(last=False)
        self.add("udp", target, port)

    @staticmethod
    def _hint(record: Record, hint: str) -> None:
        if hint and hint not in record.hints and len(record.hints) < MAX_HINTS:
            record.hints.append(hint)


def open_sniffer() -> socket.socket:
    """A filtered packet socket on ``lo``. Raises OSError."""
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _FILTER)
    memory = ctypes.create_string_buffer(program)
    sniffer.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(_FILTER), ctypes.addressof(memory)))
    sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES)
    sniffer.bind(("lo", ETH_P_ALL))
    sniffer.setblocking(False)
    return sniffer


def drain(sniffer: socket.socket, recorder: Recorder, most: int = 512) -> None:
    """Read what has come, at most ``most`` packets, so that the resolver and the prober get their turn."""
    for _ in range(most):
        try:
            data = sniffer.recv(SNAP_BYTES)
        except BlockingIOError:
            return
        recorder.packet(data)


def count_dropped(sniffer: socket.socket, recorder: Recorder) -> None:
    """Add the packets that the kernel dropped because this program was too slow (reading resets the figure)."""
    _, drops = struct.unpack("II", sniffer.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    recorder.dropped += drops
