"""The three ways in which a call to anywhere fails, made with routes alone: no interface but ``lo``, no filter.

``refuse``: every address is local (``local default dev lo``), so that the kernel answers each call at once with a
reset or "port unreachable". The routes have a preferred source: without, a call to a local address comes from that
address itself, and a program that asks for its own address by the route to some other one, as many do, would take that
other one for its own. ``drop`` and ``diagnose``: every IPv4 address lies behind ``lo`` but is not local; the
kernel sends each packet out there and discards it as it comes back. In either case nothing can leave, and a packet
socket on ``lo`` sees the address that was meant.

IPv6 has no routes behind ``lo``. To drop, its calls are local too, but come from an address to which no answer
finds a way. To diagnose, they are refused.
"""

from __future__ import annotations

import errno
import socket
import time

from . import netlink
from .packets import NAMESERVER

REFUSE, DROP, DIAGNOSE = "refuse", "drop", "diagnose"
SOURCE, SOURCE6 = "127.0.0.1", "fd00:511b:3a7::1"
ELSEWHERE: dict[int, str] = {socket.AF_INET: "203.0.113.1", socket.AF_INET6: "2001:db8::1"}
QUIET_SECONDS = 0.05
ROUTE_TRIES = 200


def close_namespace(network: str, *, ipv6: bool) -> None:
    """Let no call leave, each failing as ``network`` says, and prove it. Raises OSError."""
    if network == REFUSE:
        call_from(SOURCE)
        # The resolver answers from packets alone, so the kernel must not answer in its place.
        table, to = netlink.RT_TABLE_LOCAL, NAMESERVER
    else:
        table, to = netlink.RT_TABLE_MAIN, ""
    netlink.route(socket.AF_INET, netlink.RTN_UNICAST, table, "lo", to, SOURCE)
    if ipv6:
        _close_ipv6(network)
    _prove(socket.AF_INET, refused=network == REFUSE)
    if ipv6:
        _prove(socket.AF_INET6, refused=network != DROP)


def call_from(source: str) -> None:
    """Every IPv4 address without a route of its own is local, and calls to it come from ``source``. Raises OSError."""
    netlink.route(socket.AF_INET, netlink.RTN_LOCAL, netlink.RT_TABLE_LOCAL, "lo", source=source)


def _close_ipv6(network: str) -> None:
    family, table = socket.AF_INET6, netlink.RT_TABLE_LOCAL
    if network != DROP:
        netlink.route(family, netlink.RTN_LOCAL, table, "lo")
        return
    netlink.add_address("lo", SOURCE6)
    netlink.route(family, netlink.RTN_LOCAL, table, "lo", source=SOURCE6)
    _replace_own_route(SOURCE6)


def _replace_own_route(address: str) -> None:
    """What is sent to ``address`` is lost. Its own route is the kernel's, which makes it in its own time."""
    for left in reversed(range(ROUTE_TRIES)):
        try:
            netlink.remove_route(socket.AF_INET6, netlink.RTN_LOCAL, netlink.RT_TABLE_LOCAL, "lo", address)
            break
        except ProcessLookupError:  # ESRCH: not there yet
            if not left:
                raise
            time.sleep(0.01)
    netlink.route(socket.AF_INET6, netlink.RTN_BLACKHOLE, netlink.RT_TABLE_LOCAL, "lo", address)


def _prove(family: int, *, refused: bool) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(5 if refused else QUIET_SECONDS)
        code = probe.connect_ex((ELSEWHERE[family], 9))
    if code != (errno.ECONNREFUSED if refused else errno.EAGAIN):
        raise OSError(code, f"a call to {ELSEWHERE[family]} did not fail as it should")
