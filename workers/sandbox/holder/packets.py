"""IP packets, taken apart and put together. What the holder answers it answers with packets of its own, so that it
listens on no port and none is taken from the container under test."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

DNS_PORT = 53
#: The resolver's address, also in /etc/resolv.conf: that of Amazon's own.
NAMESERVER = "169.254.169.253"
SYN, RST, PUSH, ACK, FIN = 0x02, 0x04, 0x08, 0x10, 0x01
IPV6_HDRINCL = 36


@dataclass(frozen=True, slots=True)
class Packet:
    """``payload``: what follows the IP header, cut where the packet was."""

    family: int
    protocol: int
    source: str
    target: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    source_port: int
    port: int
    seq: int
    ack: int
    flags: int
    data: bytes


def parse(data: bytes) -> Packet | None:
    """None for what is no IP packet, or a later fragment of one. Raises IndexError, struct.error, ValueError."""
    if data[0] >> 4 == 4:
        length, fragment = struct.unpack_from("!H2xH", data, 2)
        if fragment & 0x1FFF:
            return None
        family, protocol, offset = socket.AF_INET, data[9], (data[0] & 15) * 4
        source, target = data[12:16], data[16:20]
    elif data[0] >> 4 == 6:
        family, protocol, offset, length = socket.AF_INET6, data[6], 40, 0
        source, target = data[8:24], data[24:40]
    else:
        return None
    payload = data[offset : length or None]
    return Packet(family, protocol, socket.inet_ntop(family, source), socket.inet_ntop(family, target), payload)


def segment(payload: bytes) -> Segment:
    """Raises IndexError, struct.error."""
    source_port, port, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", payload)
    return Segment(source_port, port, seq, ack, flags, payload[(offset >> 4) * 4 :])


def tcp(source: str, source_port: int, target: str, port: int, seq: int, ack: int, flags: int, data: bytes = b"",
        window: int = 16384, options: bytes = b"") -> Packet:  # fmt: skip
    head = struct.pack("!HHIIBBHHH", source_port, port, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF,
                       (20 + len(options)) << 2, flags, window, 0, 0)  # fmt: skip
    return _summed(source, target, socket.IPPROTO_TCP, head + options + data, 16)


def udp(source: str, source_port: int, target: str, port: int, data: bytes) -> Packet:
    head = struct.pack("!HHHH", source_port, port, 8 + len(data), 0)
    return _summed(source, target, socket.IPPROTO_UDP, head + data, 6)


def _summed(source: str, target: str, protocol: int, payload: bytes, offset: int) -> Packet:
    """With the checksum at ``offset``."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    pseudo = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    total = checksum(pseudo + struct.pack("!II", len(payload), protocol) + payload) or 0xFFFF
    payload = payload[:offset] + struct.pack("!H", total) + payload[offset + 2 :]
    return Packet(family, protocol, source, target, payload)


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Injector:
    """Sends packets from any address. They stay in the namespace, as everything does."""

    def __init__(self, *, ipv6: bool) -> None:
        self._channels: dict[int, socket.socket] = {
            socket.AF_INET: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        }
        if ipv6:
            channel = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
            with suppress(OSError):  # a kernel older than 4.20: what is asked by IPv6 is refused, and stays recorded
                channel.setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)
                self._channels[socket.AF_INET6] = channel
        for channel in self._channels.values():
            channel.setblocking(False)

    def __call__(self, packet: Packet) -> None:
        """A packet that cannot be sent is lost, as any may be."""
        channel = self._channels.get(packet.family)
        if channel is None:
            return
        try:
            channel.sendto(_header(packet) + packet.payload, (packet.target, 0))
        except OSError:
            return


def _header(packet: Packet) -> bytes:
    source, target = (socket.inet_pton(packet.family, address) for address in (packet.source, packet.target))
    if packet.family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, len(packet.payload), packet.protocol, 64) + source + target
    # The kernel fills in what is zero: the identification and the checksum.
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(packet.payload), 0, 0x4000, 64, packet.protocol, 0)
    return head + source + target
