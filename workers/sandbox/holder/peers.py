"""The other hosts of a training job: one cable between two namespaces that lead nowhere else.

There is no bridge, no gateway and no interface of the engine's host at either end. Every address but the other host's
stays local, as before; whoever forces a packet through the cable all the same reaches the other namespace only.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterable, Mapping
from typing import cast

from . import netlink, observe, profiles

CABLE = "eth0"
NOBODY = 9  # the port "discard"
ECHO = 7
TRY_SECONDS = 0.3
#: A cable that has just been laid may lose the first of them.
ECHO_TRIES, ECHO_SECONDS = 5, 0.5
#: What a call to nowhere may end with; also where no answer comes.
NOT_REACHED = {errno.ECONNREFUSED, errno.EAGAIN, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT}


class Echo:
    """Sends every datagram back to whoever sent it, while it is on. Off before a container starts, whose ports all are
    its own."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None

    async def turn(self, own: str, *, on: bool) -> None:
        """Raises OSError."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        if on:
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(_Returned, local_addr=(own, ECHO))


class _Returned(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(data, addr)


def connect(process: int) -> None:
    """Lay the cable to the namespace of ``process``. Raises OSError."""
    netlink.link_to(process, CABLE)


def join(own: str, hosts: Mapping[str, str]) -> None:
    """Be ``own`` at this end of the cable, and find the other ``hosts`` (name -> address) there. Raises OSError."""
    netlink.add_address(CABLE, own)
    netlink.link_up(CABLE)
    profiles.call_from(own)
    for address in hosts.values():
        if address != own:
            netlink.route(socket.AF_INET, netlink.RTN_UNICAST, netlink.RT_TABLE_LOCAL, CABLE, address, own)


def prove(own: str, hosts: Mapping[str, str], away: Iterable[str]) -> list[str]:
    """What is not as it should be; nothing where the other hosts, whose ``Echo`` is on, are reached and nothing else.
    ``away``: addresses of the engine's host, of its gateways, and outside."""
    wrong = []
    if (found := observe.interfaces()) != [CABLE, "lo"]:
        wrong.append(f"the interfaces are {', '.join(found)}")
    for name, address in hosts.items():
        if address != own and _is_local(address):
            wrong.append(f"{name} is not behind {CABLE}")
        elif address != own and not _answers(address, own):
            wrong.append(f"{name} does not answer")
    for address in away:
        if not _is_local(address):
            wrong.append(f"{address} is not local")
        codes = [_call(address, interface) for interface in ("", CABLE)]
        if not NOT_REACHED.issuperset(codes):
            wrong.append(f"{address} answered ({', '.join(errno.errorcode.get(code, 'connected') for code in codes)})")
    return wrong


def _answers(address: str, own: str) -> bool:
    """Whether a datagram comes back from there."""
    sent = os.urandom(16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(ECHO_SECONDS)
        probe.bind((own, 0))
        probe.connect((address, ECHO))
        for _ in range(ECHO_TRIES):
            try:
                probe.send(sent)
                if probe.recv(len(sent) + 1) == sent:
                    return True
            except OSError:  # no answer in time, or refused: try again
                continue
    return False


def _is_local(address: str) -> bool:
    """Whether it leads back into this namespace: only such an address can be bound to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _call(address: str, interface: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if interface:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        probe.settimeout(TRY_SECONDS)
        return probe.connect_ex((address, NOBODY))
