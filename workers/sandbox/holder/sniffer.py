"""Packet sockets on ``lo``, with filters in the kernel so that the container's own traffic never reaches Python."""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence

RECORD_BYTES = 600  # enough for a question of DNS
TALK_BYTES = 20 << 10  # more than the window that a conversation offers
SOCKET_BUFFER_BYTES = 32 << 20  # some 30,000 packets while this program waits for its turn
ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33
PACKET_OUTGOING = 4

# Classic BPF. Each: (label, code, operand, label if true, label if false); "" is the next line.
LOAD, LOAD_HALF, LOAD_BYTE, LOAD_BYTE_X, HEADER_TO_X, AND, EQUALS, HAS_BITS, RETURN = (
    0x20, 0x28, 0x30, 0x50, 0xB1, 0x54, 0x15, 0x45, 0x06)  # fmt: skip
PACKET_TYPE = 0xFFFFF004  # the kernel's own data about the packet: SKF_AD_OFF + SKF_AD_PKTTYPE
#: Where an IPv4 header has its addresses.
SOURCE, TARGET = 12, 16
Line = tuple[str, int, int, str, str]

# lo shows each packet twice, going out and coming in.
_OUTGOING: list[Line] = [("", LOAD, PACKET_TYPE, "", ""), ("", EQUALS, PACKET_OUTGOING, "", "drop")]
_END: list[Line] = [("drop", RETURN, 0, "", "")]


def calls(own: Sequence[str] = (), *, answers: bool = False) -> list[Line]:
    """What may be a call: to neither 127.0.0.0/8 nor ::1 nor an address of the job's ``own`` hosts, and of TCP only
    what opens or accepts a connection. ``answers``: also what comes back to those from elsewhere by IPv4."""
    to_own = "own" if answers else "drop"
    return [
        *_OUTGOING,
        ("", LOAD_BYTE, 0, "", ""),
        ("", AND, 0xF0, "", ""),
        ("", EQUALS, 0x40, "", "six"),
        *_own(TARGET, own, to_own, "open"),
        *(_labelled("own", _own(SOURCE, own, "drop", "open")) if answers else ()),
        *_OPENING,
    ]


def _own(where: int, own: Sequence[str], yes: str, no: str) -> list[Line]:
    """Whether an IPv4 header's address at ``where`` is the container's own, or another host's of its job."""
    numbers = [int.from_bytes(socket.inet_aton(address), "big") for address in own]
    tests: list[Line] = [("", LOAD, where, "", ""), *(("", EQUALS, number, yes, "") for number in numbers)]
    return [*tests, ("", LOAD_BYTE, where, "", ""), ("", EQUALS, 127, yes, no)]


def _labelled(label: str, lines: list[Line]) -> list[Line]:
    return [(label, *lines[0][1:]), *lines[1:]]


_OPENING: list[Line] = [
    ("open", LOAD_BYTE, 9, "", ""),
    ("", EQUALS, socket.IPPROTO_TCP, "", "keep"),
    ("", LOAD_HALF, 6, "", ""),
    ("", HAS_BITS, 0x1FFF, "drop", ""),
    ("", HEADER_TO_X, 0, "", ""),
    ("", LOAD_BYTE_X, 13, "", ""),
    ("", HAS_BITS, 0x02, "keep", "drop"),
    ("six", EQUALS, 0x60, "", "drop"),
    ("", LOAD, 24, "", ""),
    ("", EQUALS, 0, "", "far"),
    ("", LOAD, 28, "", ""),
    ("", EQUALS, 0, "", "far"),
    ("", LOAD, 32, "", ""),
    ("", EQUALS, 0, "", "far"),
    ("", LOAD, 36, "", ""),
    ("", EQUALS, 1, "drop", ""),
    ("far", LOAD_BYTE, 6, "", ""),
    ("", EQUALS, socket.IPPROTO_TCP, "", "keep"),
    ("", LOAD_BYTE, 53, "", ""),
    ("", HAS_BITS, 0x02, "keep", "drop"),
    ("keep", RETURN, RECORD_BYTES, "", ""),
    *_END,
]


def conversations(only: str) -> list[Line]:
    """TCP by IPv4 to ``only``, or ("") to any address but the container's own."""
    address = int.from_bytes(socket.inet_aton(only), "big") if only else 0
    chosen: list[Line] = [("", LOAD, 16, "", ""), ("", EQUALS, address, "keep", "drop")]
    others: list[Line] = [("", LOAD_BYTE, 16, "", ""), ("", EQUALS, 127, "drop", "keep")]
    return [
        *_OUTGOING,
        ("", LOAD_BYTE, 0, "", ""),
        ("", AND, 0xF0, "", ""),
        ("", EQUALS, 0x40, "", "drop"),
        ("", LOAD_BYTE, 9, "", ""),
        ("", EQUALS, socket.IPPROTO_TCP, "", "drop"),
        *(chosen if only else others),
        ("keep", RETURN, TALK_BYTES, "", ""),
        *_END,
    ]


def assemble(lines: Iterable[Line]) -> bytes:
    lines = list(lines)
    labels = {line[0]: number for number, line in enumerate(lines) if line[0]}
    program = b""
    for number, (_, code, operand, if_true, if_false) in enumerate(lines):
        jumps = (labels[label] - number - 1 if label else 0 for label in (if_true, if_false))
        program += struct.pack("=HBBI", code, *jumps, operand)
    return program


def open_sniffer(lines: Iterable[Line]) -> socket.socket:
    """Raises OSError."""
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    attach(sniffer, lines)
    sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES)
    sniffer.bind(("lo", ETH_P_ALL))
    sniffer.setblocking(False)
    return sniffer


def attach(sniffer: socket.socket, lines: Iterable[Line]) -> None:
    """Let it see by these lines from now on. Raises OSError."""
    program = assemble(lines)
    memory = ctypes.create_string_buffer(program)
    pointer = struct.pack("HL", len(program) // 8, ctypes.addressof(memory))
    sniffer.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)


def drain(sniffer: socket.socket, take: Callable[[bytes], None], most: int = 512, seconds: float = 5.0) -> bool:
    """Read what has come, at most ``most`` packets and for so long, so that whoever else waits gets a turn. Whether all
    of it was read."""
    until = time.monotonic() + seconds
    for _ in range(most):
        try:
            data = sniffer.recv(TALK_BYTES)
        except BlockingIOError:
            return True
        take(data)
        if time.monotonic() > until:
            break
    return False


def dropped(sniffer: socket.socket) -> int:
    """How many packets the kernel dropped since it was last asked, because this program was too slow."""
    return int(struct.unpack("II", sniffer.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1])
