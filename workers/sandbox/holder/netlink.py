"""Two kernel requests by netlink: bring ``lo`` up, and make every address local.

With a route ``local default dev lo`` every destination is this machine itself: the kernel answers each call at
once (reset, or port unreachable) and nothing can leave, while a packet socket on ``lo`` still sees the address
that was meant.
"""

from __future__ import annotations

import os
import socket
import struct

RTM_NEWLINK, RTM_NEWROUTE = 16, 24
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE = 0x1, 0x4, 0x400, 0x100
NLMSG_ERROR = 2
RTA_OIF = 4
RT_TABLE_LOCAL, RTPROT_STATIC, RT_SCOPE_HOST, RT_SCOPE_UNIVERSE, RTN_LOCAL = 255, 4, 254, 0, 2
IFF_UP = 1


def link_up(interface: str) -> None:
    """Raises OSError."""
    index = socket.if_nametoindex(interface)
    _ask(RTM_NEWLINK, 0, struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, IFF_UP, IFF_UP))


def route_everything_to_lo(family: int) -> None:
    """``ip route add local default dev lo`` for AF_INET or AF_INET6. Raises OSError."""
    scope = RT_SCOPE_HOST if family == socket.AF_INET else RT_SCOPE_UNIVERSE
    header = struct.pack("=BBBBBBBBI", family, 0, 0, 0, RT_TABLE_LOCAL, RTPROT_STATIC, scope, RTN_LOCAL, 0)
    out_interface = struct.pack("=HHI", 8, RTA_OIF, socket.if_nametoindex("lo"))
    _ask(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, header + out_interface)


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
