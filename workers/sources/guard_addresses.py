"""Which addresses a seller may not lead us to. Pure, but for asking which addresses this machine has."""

from __future__ import annotations

import ipaddress
import socket

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Sources: IANA special-purpose address registries; the clouds' own manuals for the services that are not in them.
_METADATA = {
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_OTHER_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))


def forbidden(text: str) -> str:
    """Why the address ``text`` may not be reached, as the end of “… is refused: it is …”; empty if it may."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "it is no address"
    reason = _special(address)
    if not reason and _is_own(address):
        reason = "it is this machine's own address"
    return reason


def _special(address: _Address) -> str:
    inner = _embedded(address)
    if inner is not None:
        return _special(inner)
    if address in _METADATA:
        return "it is a cloud's metadata service"
    if address.is_loopback or address.is_unspecified:
        return "it is a loopback address"
    if address.is_link_local:
        return "it is a link-local address"
    if address.is_multicast:
        return "it is a multicast address"
    if address.version == 6 and address not in _GLOBAL_UNICAST:
        return "it is a private address"
    if not address.is_global or any(address in network for network in _OTHER_SPECIAL):
        return "it is a private or reserved address"
    return ""


def _embedded(address: _Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4, Teredo, NAT64."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def _is_own(address: _Address) -> bool:
    """Whether a local service could be meant: only a machine's own addresses can be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
