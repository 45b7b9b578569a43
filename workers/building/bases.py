"""The images that a build starts from: pulled by us beforehand, so that their triggers can be read before they run."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress

from docker.errors import APIError

from listings.problems import ProblemError
from listings.reports import Evidence
from workers.building.dockerfile import ImageRules, Instruction, check_trigger
from workers.building.room import Network
from workers.building.stream import BuildOutput, Cut, guarded, messages
from workers.engine import NO_CREDENTIALS, Engine
from workers.steps.contract import Log, Stop

_SELLERS = re.compile(
    r"pull access denied|not found|manifest unknown|no matching manifest|repository does not exist|denied|"
    r"invalid reference|unauthorized|unsupported",
    re.IGNORECASE,
)


def provide(
    engine: Engine, images: Mapping[str, Instruction], rules: ImageRules, allow: Sequence[Network], log: Log, stop: Stop
) -> None:
    """Have every image in the engine, as linux/amd64, and hold its ONBUILD triggers to the rules.

    Raises ProblemError BUILD-FROM-UNAVAILABLE, BUILD-FROM-PRIVATE, BUILD-REGISTRY-UNREACHABLE or a rule's own.
    """
    for name, at in images.items():
        if not engine.has_image(name):
            _refuse_private_host(name, at, allow)
            log.section(f"Pull {name}")
            _pull(engine, name, at, log, stop)
        for trigger in engine.api.inspect_image(name)["Config"].get("OnBuild") or ():
            check_trigger(str(trigger), name, rules)


def _pull(engine: Engine, name: str, at: Instruction, log: Log, stop: Stop) -> None:
    cut, output = Cut(), BuildOutput(log)
    query = {"fromImage": name if re.search(r"@|:[^/]*$", name) else f"{name}:latest", "platform": "linux/amd64"}

    def work() -> None:
        with engine.stream("POST", "/images/create", query, headers=NO_CREDENTIALS) as response:
            cut.watch(response)
            for message in messages(response, cut):
                output.feed(message)

    try:
        guarded(stop, cut, work)
    except APIError as error:
        raise _unavailable(error.explanation or str(error), name, at) from error
    if output.error:
        raise _unavailable(output.error, name, at)


def _unavailable(message: str, name: str, at: Instruction) -> ProblemError:
    code = "BUILD-FROM-UNAVAILABLE" if _SELLERS.search(message) else "BUILD-REGISTRY-UNREACHABLE"
    return ProblemError(code, evidence=(at.evidence(), Evidence(message, "engine")), name=name, message=message)


def _refuse_private_host(name: str, at: Instruction, allow: Sequence[Network]) -> None:
    """The engine pulls from its own network: a registry's name must not lead into it."""
    host = name.partition("/")[0] if "/" in name else ""
    if not re.search(r"[.:]", host):
        return  # a name without a registry: the engine's default one
    found: list[str] = []
    with suppress(OSError):
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host.partition(":")[0], 443)]
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        inside = address.is_private or address.is_link_local or address.is_loopback
        if inside and not any(address in network for network in allow if address.version == 4):
            raise ProblemError("BUILD-FROM-PRIVATE", evidence=(at.evidence(),), name=name, line=at.line)
