"""What the holder asks of the kernel by netlink: interfaces, addresses and routes of its own namespace."""

from __future__ import annotations

import os
import socket
import struct

RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_DELROUTE = 16, 20, 24, 25
NLM_F_REQUEST, NLM_F_ACK, NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x1, 0x4, 0x100, 0x200, 0x400
NLMSG_ERROR = 2
RTA_DST, RTA_OIF, RTA_PREFSRC = 1, 4, 7
IFA_ADDRESS, IFA_LOCAL, IFA_F_NODAD = 1, 2, 0x02
IFLA_IFNAME, IFLA_LINKINFO, IFLA_NET_NS_PID = 3, 18, 19
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
RT_TABLE_MAIN, RT_TABLE_LOCAL, RTPROT_ANY, RTPROT_STATIC = 254, 255, 0, 4
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_HOST = 0, 253, 254
RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE = 1, 2, 6
IFF_UP = 1


def link_up(interface: str) -> None:
    """Raises OSError."""
    index = socket.if_nametoindex(interface)
    _ask(RTM_NEWLINK, 0, _link(index, IFF_UP))


def add_address(interface: str, address: str) -> None:
    """A host address, without a route to neighbours. Raises OSError."""
    family, raw = packed(address)
    header = struct.pack("=BBBBI", family, len(raw) * 8, IFA_F_NODAD, 0, socket.if_nametoindex(interface))
    body = header + _attribute(IFA_LOCAL, raw) + _attribute(IFA_ADDRESS, raw)
    _ask(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body)


def route(family: int, kind: int, table: int, interface: str, to: str = "", source: str = "") -> None:
    """``ip route add KIND to TO dev INTERFACE src SOURCE table TABLE``; without ``to`` the default. Raises OSError."""
    _ask(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _route(family, kind, table, interface, to, source))


def remove_route(family: int, kind: int, table: int, interface: str, to: str) -> None:
    """Raises OSError."""
    _ask(RTM_DELROUTE, 0, _route(family, kind, table, interface, to, "", RTPROT_ANY))


def link_to(process: int, name: str) -> None:
    """A cable: ``name`` here, and its other end under the same name in the namespace of ``process``. Raises OSError."""
    ends = _attribute(IFLA_IFNAME, name.encode() + b"\0")
    other = _link(0, 0) + ends + _attribute(IFLA_NET_NS_PID, struct.pack("=I", process))
    kind = _attribute(IFLA_INFO_KIND, b"veth\0") + _attribute(IFLA_INFO_DATA, _attribute(VETH_INFO_PEER, other))
    _ask(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, _link(0, 0) + ends + _attribute(IFLA_LINKINFO, kind))


def packed(address: str) -> tuple[int, bytes]:
    """(family, bytes) of an address. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def _link(index: int, flags: int) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _route(
    family: int, kind: int, table: int, interface: str, to: str, source: str, origin: int = RTPROT_STATIC
) -> bytes:
    target = packed(to)[1] if to else b""
    scope = RT_SCOPE_UNIVERSE
    if family == socket.AF_INET:
        scope = {RTN_LOCAL: RT_SCOPE_HOST, RTN_UNICAST: RT_SCOPE_LINK}.get(kind, RT_SCOPE_UNIVERSE)
    body = struct.pack("=BBBBBBBBI", family, len(target) * 8, 0, 0, table, origin, scope, kind, 0)
    body += _attribute(RTA_DST, target) if target else b""
    body += _attribute(RTA_PREFSRC, packed(source)[1]) if source else b""
    if kind != RTN_BLACKHOLE:
        body += _attribute(RTA_OIF, struct.pack("=I", socket.if_nametoindex(interface)))
    return body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _ask(kind: int, flags: int, body: bytes) -> None:
    message = struct.pack("=IHHII", 16 + len(body), kind, NLM_F_REQUEST | NLM_F_ACK | flags, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as channel:
        channel.settimeout(5)
        channel.bind((0, 0))
        channel.send(message)
        answer = channel.recv(65536)
    answer_kind = struct.unpack_from("=H", answer, 4)[0]
    error = -struct.unpack_from("=i", answer, 16)[0] if answer_kind == NLMSG_ERROR else 0
    if error:
        raise OSError(error, os.strerror(error))
