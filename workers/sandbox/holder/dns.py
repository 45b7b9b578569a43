"""A resolver without a socket: it is handed each question that was seen, and records it.

It knows no name (``refuse``: NXDOMAIN at once), does not answer (``drop``), or gives each name an address that leads
nowhere (``diagnose``), by which later calls are told apart. The hosts of the job are known in any case, and questions
about them, or about the names of their addresses, are not recorded: they are no call to anywhere.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Mapping

from . import packets, profiles
from .packets import DNS_PORT, Packet
from .recorder import Recorder

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
A, PTR = 1, 12
NXDOMAIN, NOERROR = 0x8183, 0x8180
TTL_SECONDS = 60
OWN_REVERSE = {"1.0.0.127.in-addr.arpa", "1." + "0." * 31 + "ip6.arpa"}
#: Documentation ranges: nobody has an address in them.
RANGES = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")


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


class Addresses:
    """One made-up address for each name. Bounded by the ranges: later names get none."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._given: dict[str, str] = {}
        self._free = (str(host) for text in RANGES for host in ipaddress.ip_network(text).hosts())

    def of(self, name: str) -> str:
        if name not in self._given and (address := next(self._free, "")):
            self._given[name], self.names[address] = address, name
        return self._given.get(name, "")


class Resolver:
    def __init__(
        self, recorder: Recorder, own: Mapping[str, str], network: str = profiles.REFUSE,
        addresses: Addresses | None = None,
    ) -> None:  # fmt: skip
        """``own``: the names of the job's hosts and their addresses."""
        self._recorder, self._network = recorder, network
        self._addresses = addresses or Addresses()
        self.own = {"localhost": "127.0.0.1"}
        self._reverse = set(OWN_REVERSE)
        self.know(own)

    def know(self, hosts: Mapping[str, str]) -> None:
        """Hosts of the job and their addresses."""
        self.own |= {name.lower(): address for name, address in hosts.items()}
        self._reverse |= {ipaddress.ip_address(address).reverse_pointer for address in hosts.values()}

    def datagram(self, packet: Packet, message: bytes) -> Packet | None:
        """The packet that answers a question asked by UDP, None where it stays without."""
        reply = self.answer(message, packet.target)
        if reply is None:
            return None
        (source_port,) = struct.unpack_from("!H", packet.payload)
        return packets.udp(packet.target, DNS_PORT, packet.source, source_port, reply)

    def stream(self, server: str, data: bytes) -> bytes | None:
        """The same for TCP, where a length goes before each message; None where more has to come first."""
        if len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
            return None
        reply = self.answer(data[2 : 2 + int.from_bytes(data[:2], "big")], server, by_tcp=True)
        return b"" if reply is None else struct.pack("!H", len(reply)) + reply

    def answer(self, query: bytes, server: str, *, by_tcp: bool = False) -> bytes | None:
        """The answer to one query; None where there is none. ``server``: the address that was asked."""
        try:
            name, kind, end = parse_question(query)
        except ValueError:
            self._recorder.add("dns", server, DNS_PORT, hint="a malformed query")
            return None
        question = query[12:end]
        if name in self.own or name in self._reverse:
            return _reply(query, question, self.own.get(name, "") if kind == A else "")
        hint = TYPES.get(kind, f"type {kind}")
        self._recorder.add("dns", server, DNS_PORT, host=name, hint=f"{hint} by TCP" if by_tcp else hint)
        if self._network == profiles.DROP:
            return None
        if self._network == profiles.REFUSE or kind == PTR:
            return query[:2] + struct.pack("!HHHHH", NXDOMAIN, 1, 0, 0, 0) + question
        return _reply(query, question, self._addresses.of(name) if kind == A else "")


def _reply(query: bytes, question: bytes, address: str) -> bytes:
    """That the name is known, with its address if any."""
    header = query[:2] + struct.pack("!HHHHH", NOERROR, 1, 1 if address else 0, 0, 0) + question
    if not address:
        return header
    return header + struct.pack("!HHHIH", 0xC00C, A, 1, TTL_SECONDS, 4) + socket.inet_aton(address)
