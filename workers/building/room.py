"""The room that a build runs in: one small container whose limits and network the build's own containers inherit.

The classic builder starts a container for each RUN. Told to, it puts them under the room's control group
(so memory, CPU and processes are limited for all of them together) and into the room's network namespace.
There the room, which alone may change routes, has closed every way to the worker's host, to private networks
and to metadata services. A RUN has neither the room's rights nor another network.

What routes cannot stop: a RUN that forges whole Ethernet frames (the engine grants CAP_NET_RAW to every build).
An operator who builds for strangers also filters on the engine's host, in the chain DOCKER-USER.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from docker.errors import APIError, ImageNotFound
from docker.models.containers import Container

from listings.problems import ProblemError
from listings.reports import Evidence
from workers.engine import LABEL_ROLE, LABEL_TAG, Engine

ROLE = "build-room"
_MB = 1024 * 1024
_CPU_PERIOD = 100_000
_SELF_TEST_SECONDS = 300

Network = ipaddress.IPv4Network

#: Not the internet: this host, private, shared, link-local, benchmark, multicast and reserved ranges (RFC 6890).
CLOSED = tuple(
    Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
#: Metadata services of the clouds; never opened, whatever the settings say. IPv6 is off in the room.
METADATA = tuple(Network(text) for text in ("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200"))


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """``allow``: networks in CIDR form that builds may reach although they are private. ``cgroup_parent``: a limited
    control group of the operator's own, used instead of the room's where the engine cannot nest."""

    image: str
    memory_mb: int
    cpus: float
    pids: int
    allow: tuple[Network, ...] = ()
    dns: tuple[str, ...] = ()
    cgroup_parent: str = ""
    network: str = "bridge"

    def cpu_quota(self, available: int) -> int:
        """Microseconds of CPU time per 100 ms; never more than the engine's host has."""
        return max(1000, int(min(self.cpus, float(available)) * _CPU_PERIOD))


@dataclass(frozen=True, slots=True)
class Room:
    """An open room. ``build_parameters`` are what the engine's build call needs to use it."""

    container: Container
    options: RoomOptions
    build_parameters: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.container.id)


def networks(text: str) -> tuple[Network, ...]:
    """Parse a list of IPv4 networks or addresses separated by commas or blanks. Raises ValueError."""
    return tuple(Network(part, strict=False) for part in re.split(r"[,\s]+", text.strip()) if part)


def open_room(engine: Engine, options: RoomOptions, labels: Mapping[str, str], tag: str = "") -> Room:
    """Start a room and close its network. ``tag`` is an image name that goes whenever the room is removed.

    Raises ProblemError BUILD-ROOM or BUILD-DNS; nothing stays behind then.
    """
    quota = options.cpu_quota(int(engine.info().get("NCPU") or 1))
    try:
        container = engine.run_container(
            options.image,
            labels={**labels, LABEL_ROLE: ROLE, **({LABEL_TAG: tag} if tag else {})},
            command=["sleep", "2147483647"],
            network_mode=options.network,
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN"],
            security_opt=["no-new-privileges"],
            sysctls={"net.ipv6.conf.all.disable_ipv6": "1"},
            mem_limit=options.memory_mb * _MB,
            memswap_limit=options.memory_mb * _MB,
            cpu_period=_CPU_PERIOD,
            cpu_quota=quota,
            pids_limit=options.pids,
            dns=list(options.dns) or None,
            cgroup_parent=options.cgroup_parent or None,
        )
    except ImageNotFound as error:
        raise ProblemError("BUILD-ROOM", message=f"The image {options.image} is not in the engine.") from error
    except APIError as error:
        raise ProblemError("BUILD-ROOM", message=error.explanation or str(error)) from error
    try:
        if options.network != "none":
            _close_network(engine, container, options, labels)
        return Room(container, options, _build_parameters(container, options, quota))
    except BaseException:
        engine.remove_container(str(container.id))
        raise


def close_room(engine: Engine, room: Room, attempts: int = 20) -> None:
    """Remove the build's containers and the room. The engine may still be starting one more: look until none comes."""
    for _ in range(attempts):
        joined = engine.joined({room.id})
        if not joined:
            break
        for thing in joined:
            engine.remove_container(thing.id)
        time.sleep(0.2)
    engine.remove_container(room.id)


def remove_build_leftovers(engine: Engine, instance: str, host: str, held: Collection[str] = ()) -> int:
    """Remove the rooms of this instance on this host, what runs in them, and image names left over from pushes;
    those of the attempts in ``held`` stay, and so does a self-test that may still run. Returns how many went."""
    young = engine_seconds(str(engine.info()["SystemTime"])) - _SELF_TEST_SECONDS
    mine = [
        thing
        for thing in engine.owned(instance, host)
        if thing.kind == "container"
        and thing.attempt not in held
        and (thing.attempt or float(thing.created or 0) < young)
    ]
    rooms = {thing.id for thing in mine if thing.labels.get(LABEL_ROLE) == ROLE}
    return engine.remove([thing for thing in mine if thing.id in rooms or thing.joined in rooms])


def engine_seconds(text: str) -> float:
    """Unix time of the engine's RFC 3339 text, whose nanoseconds Python does not read."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text)).timestamp()


def _build_parameters(container: Container, options: RoomOptions, quota: int) -> dict[str, Any]:
    parent = options.cgroup_parent
    if not parent:
        container.reload()
        # The engine's own default; a relative answer hangs below it.
        above = container.attrs["HostConfig"].get("CgroupParent") or "/docker"
        parent = f"{above.rstrip('/')}/{container.id}"
    return {
        "networkmode": f"container:{container.id}",
        "cgroupparent": parent,
        "memory": options.memory_mb * _MB,
        "memswap": options.memory_mb * _MB,
        "cpuperiod": _CPU_PERIOD,
        "cpuquota": quota,
    }


# -- network ------------------------------------------------------------------------------------------------


def _close_network(engine: Engine, container: Container, options: RoomOptions, labels: Mapping[str, str]) -> None:
    state = _execute(engine, container, "ip -4 route && echo == && cat /etc/resolv.conf")
    table, _, resolver = state.partition("==")
    default = re.search(r"default via (\S+) dev (\S+)", table)
    if default is None:
        raise ProblemError("BUILD-ROOM", message="The engine's bridge gave the room no way out.", evidence=_text(state))
    gateway, device = default[1], default[2]
    connected = [line.split()[0] for line in table.splitlines() if re.match(r"\d[\d./]+ dev \S+.* scope link", line)]
    servers = re.findall(r"^nameserver\s+(\d+(?:\.\d+){3})\s*$", resolver, re.MULTILINE)
    host = host_addresses(engine, options.image, labels)
    for server in servers:
        if ipaddress.IPv4Address(server) in {n.network_address for n in (*host, *METADATA)} or server == gateway:
            raise ProblemError("BUILD-DNS", server=server)
    commands = [f"ip route del {network} dev {device}" for network in connected]
    bridge = [Network(network, strict=False) for network in connected]
    closed = {*CLOSED, *bridge, *host, Network(gateway)}
    opened = {*options.allow, *(Network(server) for server in servers)}
    commands += [f"ip route add prohibit {network}" for network in sorted(closed - opened)]
    for network in sorted(opened):
        is_near = any(network.subnet_of(near) for near in bridge)
        way = f"dev {device}" if is_near else f"via {gateway} dev {device} onlink"
        commands.append(f"ip route add {network} {way}")
    commands += [f"ip route replace prohibit {network}" for network in METADATA]
    _execute(engine, container, "set -e\n" + "\n".join(commands))
    _prove_closed(engine, container, [str(n.network_address) for n in (*METADATA, *(host - opened), Network(gateway))])


def host_addresses(engine: Engine, image: str, labels: Mapping[str, str]) -> set[Network]:
    """Every IPv4 address of the engine's host, but loopback, asked for in the host's own network namespace."""
    result = engine.run_to_end(
        image, labels=labels, command=["ip", "-4", "addr"], network_mode="host", cap_drop=["ALL"]
    )
    found = {Network(text) for text in re.findall(r"\binet (\d+(?:\.\d+){3})", result.output)}
    if result.exit_code or not found:
        raise ProblemError(
            "BUILD-ROOM", message="The host's own addresses are not known.", evidence=_text(result.output)
        )
    return {network for network in found if not network.is_loopback}


def _prove_closed(engine: Engine, container: Container, addresses: Sequence[str]) -> None:
    """Ask the kernel for its way to each address: it must refuse."""
    script = "\n".join(f"ip -4 route get {address} >/dev/null 2>&1 && echo {address}" for address in addresses)
    reachable = _execute(engine, container, script + "\ntrue").split()
    if reachable:
        raise ProblemError("BUILD-ROOM", message=f"The room could not be closed to {', '.join(reachable)}.")


def _execute(engine: Engine, container: Container, script: str) -> str:
    result = engine.execute(str(container.id), ["sh", "-c", script])
    if result.exit_code:
        raise ProblemError("BUILD-ROOM", message="A command in the room failed.", evidence=_text(result.output))
    return result.output


def _text(text: str) -> tuple[Evidence, ...]:
    return (Evidence(text[-2000:]),)
