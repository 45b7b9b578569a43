"""TCP connections taken on any port of any address, from packets alone: no socket listens, so the container may use
every port itself. Enough of TCP for one question and one answer on ``lo``, where nothing is lost or overtaken.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from . import packets
from .packets import ACK, FIN, PUSH, RST, SYN, Packet, Segment

MAX_CONVERSATIONS = 256
MAX_BYTES = 16 << 10
WINDOW = MAX_BYTES
SEGMENT_SIZE = struct.pack("!BBH", 2, 4, 8960)
#: (address, port, all that was said) -> the answer that ends it, or None to hear more.
Answer = Callable[[str, int, bytes], bytes | None]
Key = tuple[str, int, str, int]


@dataclass(slots=True)
class Conversation:
    first: int  # the number that our side began with
    expected: int  # of the next byte to come
    next: int  # of the next to be sent
    heard: bytearray = field(default_factory=bytearray)
    ended: bool = False


class Conversations:
    """Bounded: the longest open of ``MAX_CONVERSATIONS`` is reset for a new one."""

    def __init__(
        self, send: Callable[[Packet], None], answer: Answer, accepts: Callable[[str, int], bool],
        opened: Callable[[Key], None],
    ) -> None:  # fmt: skip
        self._send, self._answer, self._accepts, self._opened = send, answer, accepts, opened
        self._open: dict[Key, Conversation] = {}

    def packet(self, data: bytes) -> None:
        """One packet from the container. What is cut or odd is no part of a conversation."""
        try:
            packet = packets.parse(data)
            if packet is not None and packet.protocol == socket.IPPROTO_TCP:
                self._take(packet, packets.segment(packet.payload))
        except (IndexError, struct.error, ValueError):
            return

    def is_silent(self, key: Key) -> bool:
        found = self._open.get(key)
        return found is not None and not found.heard

    def reset(self, key: Key) -> None:
        found = self._open.pop(key, None)
        if found is not None:
            self._say(key, found.next, found.expected, RST | ACK)

    def _take(self, packet: Packet, segment: Segment) -> None:
        key = (packet.source, segment.source_port, packet.target, segment.port)
        if segment.flags & RST:
            self._open.pop(key, None)
        elif segment.flags & SYN:
            if not segment.flags & ACK:
                self._begin(key, segment)
        elif (found := self._open.get(key)) is not None:
            self._continue(key, found, segment)
        elif segment.data:
            self._say(key, segment.ack, 0, RST)

    def _begin(self, key: Key, segment: Segment) -> None:
        if not self._accepts(key[2], key[3]):
            self._say(key, 0, segment.seq + 1, RST | ACK)
            return
        found = self._open.get(key)
        if found is None or found.expected != segment.seq + 1:
            if len(self._open) >= MAX_CONVERSATIONS:
                self.reset(next(iter(self._open)))
            first = int.from_bytes(os.urandom(4), "big")
            found = self._open[key] = Conversation(first, segment.seq + 1, first + 1)
            self._opened(key)
        self._say(key, found.first, found.expected, SYN | ACK, options=SEGMENT_SIZE)

    def _continue(self, key: Key, found: Conversation, segment: Segment) -> None:
        in_order = segment.seq == found.expected & 0xFFFFFFFF
        if segment.data and in_order:
            found.expected += len(segment.data)
            self._hear(key, found, segment.data)
        elif segment.data:
            self._say(key, found.next, found.expected, ACK)
        if segment.flags & FIN and in_order:
            found.expected += 1
            self._say(key, found.next, found.expected, ACK if found.ended else FIN | ACK)
            self._open.pop(key, None)

    def _hear(self, key: Key, found: Conversation, data: bytes) -> None:
        if found.ended:
            self.reset(key)
            return
        found.heard += data[: MAX_BYTES - len(found.heard)]
        answer = self._answer(key[2], key[3], bytes(found.heard))
        if answer is None and len(found.heard) < MAX_BYTES:
            self._say(key, found.next, found.expected, ACK)
            return
        found.ended = True
        self._say(key, found.next, found.expected, PUSH | ACK | FIN, answer or b"")
        found.next += len(answer or b"") + 1

    def _say(self, key: Key, seq: int, ack: int, flags: int, data: bytes = b"", options: bytes = b"") -> None:
        source, source_port, target, port = key
        self._send(packets.tcp(target, port, source, source_port, seq, ack, flags, data, WINDOW, options))
