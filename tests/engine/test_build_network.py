"""What a RUN reaches: the outside and what an operator lists, and nothing of the worker's host or its neighbours."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from docker.models.containers import Container

from tests.engine.build_fixtures import BASE, BuildBench
from tests.engine.build_fixtures import bench as bench
from workers.building.room import host_addresses
from workers.engine import Engine, attempt_labels

pytestmark = pytest.mark.django_db

SIBLING_PORT = 7070


@dataclass
class Listener:
    """Counts who connects to a port on every address of this host."""

    server: socket.socket
    peers: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.server.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                connection, peer = self.server.accept()
            except OSError:
                return
            self.peers.append(str(peer[0]))
            connection.sendall(b"reached\n")
            connection.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener(socket.create_server(("0.0.0.0", 0)))
    threading.Thread(target=listener.serve, daemon=True).start()
    yield listener
    listener.server.close()


@pytest.fixture
def siblings(engine: Engine, instance: str) -> list[str]:
    """Addresses of two containers on the default bridge that answer on SIBLING_PORT."""
    return [_address(_serve(engine, instance)) for _ in range(2)]


def test_a_run_reaches_nothing_of_the_host_while_the_same_image_on_the_bridge_does(
    bench: BuildBench, listener: Listener, siblings: list[str], instance: str
) -> None:
    labels = attempt_labels(instance, "test-host", "control")
    addresses = sorted(str(n.network_address) for n in host_addresses(bench.engine, BASE, labels))
    assert addresses
    targets = [(address, listener.port) for address in addresses] + [(siblings[0], SIBLING_PORT)]
    control = bench.engine.run_to_end(BASE, labels=labels, command=["sh", "-c", _script(targets)])
    assert _answers(control.output) == {f"{host}:{port}": "reached" for host, port in targets}
    seen = len(listener.peers)
    assert seen == len(addresses)

    metadata = [("169.254.169.254", 80), ("169.254.170.2", 80), ("192.168.0.1", 80), ("10.0.0.1", 443)]
    report, log = bench.run(f"FROM {BASE}\nRUN {_script([*targets, *metadata])}\n")
    assert report.problem is None
    assert _answers(log.text()) == {f"{host}:{port}": "closed" for host, port in [*targets, *metadata]}
    assert len(listener.peers) == seen


def test_a_run_reaches_a_network_that_the_operator_lists_and_no_other(bench: BuildBench, siblings: list[str]) -> None:
    bench.configure(build_allow_networks=f"{siblings[0]}/32")
    targets = [(address, SIBLING_PORT) for address in siblings]
    _, log = bench.run(f"FROM {BASE}\nRUN {_script(targets)}\n")
    assert _answers(log.text()) == {
        f"{siblings[0]}:{SIBLING_PORT}": "reached",
        f"{siblings[1]}:{SIBLING_PORT}": "closed",
    }


def test_listing_everything_still_keeps_metadata_and_the_host_closed(
    bench: BuildBench, listener: Listener, siblings: list[str]
) -> None:
    bench.configure(build_allow_networks="0.0.0.0/1, 128.0.0.0/1, 169.254.169.254/32")
    labels = attempt_labels(bench.instance, "test-host", "control")
    addresses = sorted(str(n.network_address) for n in host_addresses(bench.engine, BASE, labels))
    targets = [(address, listener.port) for address in addresses] + [("169.254.169.254", 80)]
    _, log = bench.run(f"FROM {BASE}\nRUN {_script(targets)}\n")
    assert set(_answers(log.text()).values()) == {"closed"}
    assert listener.peers == []


def test_a_run_asks_the_name_server_and_cannot_change_the_routes(bench: BuildBench) -> None:
    labels = attempt_labels(bench.instance, "test-host", "control")
    question = "nslookup -type=ns . 2>&1 | head -4"
    control = bench.engine.run_to_end(BASE, labels=labels, command=["sh", "-c", question])
    server = re.search(r"^Server:\s*(\S+)", control.output, re.MULTILINE)
    assert server, control.output
    script = (
        f"{question}; ip route add 169.254.169.254 via 127.0.0.1 || echo kept; ip route flush table main || echo kept"
    )
    _, log = bench.run(f"FROM {BASE}\nRUN {script}\n")
    assert f"Server:\t\t{server[1]}" in log.text()
    assert "kept" in log.text()


def test_a_name_server_on_the_host_is_refused(bench: BuildBench) -> None:
    labels = attempt_labels(bench.instance, "test-host", "control")
    own = sorted(str(n.network_address) for n in host_addresses(bench.engine, BASE, labels))[0]
    bench.configure(build_dns=own)
    error, _ = bench.fail(f"FROM {BASE}\nRUN true\n")
    assert error.code == "BUILD-DNS"
    assert error.report.params["server"] == own
    assert bench.engine.owned(bench.instance) == []


def _serve(engine: Engine, instance: str) -> Container:
    labels = attempt_labels(instance, "test-host", "sibling")
    serve = ["sh", "-c", f"while :; do echo reached | nc -l -p {SIBLING_PORT}; done"]
    return engine.run_container(BASE, labels=labels, command=serve)


def _address(container: Container) -> str:
    container.reload()
    return str(container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])


def _script(targets: list[tuple[str, int]]) -> str:
    """Connect to each target; print what came of it."""
    tries = [
        f"if nc -w 3 {host} {port} </dev/null 2>/dev/null | grep -q reached; "
        f"then echo {host}:{port} is reached; else echo {host}:{port} is closed; fi"
        for host, port in targets
    ]
    return "; ".join(tries)


def _answers(output: str) -> dict[str, str]:
    return dict(re.findall(r"^([\d.]+:\d+) is (reached|closed)$", output, re.MULTILINE))
