"""The container under test reaches nothing. The same image on the default bridge reaches every listener, which
shows that the listeners hear and that only the twin keeps the calls away."""

from __future__ import annotations

import ast
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from tests.engine.twin_fixtures import IMAGES, Twin
from workers.engine import Engine, attempt_labels

pytestmark = pytest.mark.timeout(180)

SIBLING = """
import socket, sys, threading
tcp = socket.create_server(("0.0.0.0", 9100))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", 9100))
def heard_udp():
    while True:
        udp.recv(2000)
        print("heard", flush=True)
threading.Thread(target=heard_udp, daemon=True).start()
print("ready", flush=True)
while True:
    tcp.accept()[0].close()
    print("heard", flush=True)
"""


class Listeners:
    """TCP and UDP sockets on the host, counting what they hear."""

    def __init__(self, address: str) -> None:
        self.address, self.heard = address, 0
        self._tcp = socket.create_server((address, 0))
        self.port = int(self._tcp.getsockname()[1])
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((address, self.port))
        for listen in (self._accept, self._receive):
            threading.Thread(target=listen, daemon=True).start()

    @property
    def target(self) -> str:
        return f"{self.address}:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                self._tcp.accept()[0].close()
            except OSError:
                return
            self.heard += 1

    def _receive(self) -> None:
        while self._udp.recv(2000):
            self.heard += 1

    def close(self) -> None:
        for listener in (self._tcp, self._udp):
            listener.close()


@dataclass(frozen=True)
class Sibling:
    id: str
    address: str
    gateway: str  # docker0's address


@pytest.fixture
def sibling(engine: Engine, instance: str) -> Iterator[Sibling]:
    """A container on the default bridge that prints "heard" for each packet."""
    labels = attempt_labels(instance + "-sibling", "test-host", "none")
    container = engine.run_container(
        "slipway.local/python:3.11-bookworm", labels=labels, command=["python3", "-u", "-c", SIBLING]
    )
    while b"ready" not in container.logs():
        pass
    container.reload()
    network = container.attrs["NetworkSettings"]["Networks"]["bridge"]
    yield Sibling(str(container.id), str(network["IPAddress"]), str(network["Gateway"]))
    engine.remove_container(str(container.id))


def heard_by(engine: Engine, container_id: str) -> int:
    return int(engine.client.containers.get(container_id).logs().count(b"heard"))


def host_address() -> str:
    """An address of this host besides loopback and the bridge, or loopback where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def test_no_packet_leaves_and_each_attempt_is_on_record(
    twin: Twin, engine: Engine, instance: str, sibling: Sibling
) -> None:
    with closing(Listeners(sibling.gateway)) as bridge, closing(Listeners(host_address())) as host:
        targets = [bridge.target, host.target, f"{sibling.address}:9100"]
        ran = twin.train("twin-caller", {}, files={"samples/train.csv": " ".join(targets).encode()})
        assert (bridge.heard, host.heard, heard_by(engine, sibling.id)) == (0, 0, 0)

        reference = "slipway-test/twin-caller-control"
        engine.client.images.build(path=str(IMAGES / "twin-caller"), tag=reference, rm=True, forcerm=True)
        try:
            engine.run_to_end(
                reference, labels=attempt_labels(instance, "test-host", "control"),
                command=["python3", "/call.py", *targets],
            )  # fmt: skip
        finally:
            engine.remove_image(reference)
        assert bridge.heard >= 2
        assert host.heard >= 2
        assert heard_by(engine, sibling.id) >= 2

    assert ran.report.problem is None, ran.log.text()
    # What was heard above covers every way in which a run's calls fail.
    runs = [run["network"] for run in ran.report.facts["runs"] if run["phase"] == "train"]
    assert runs == ["refuse", "drop", "diagnose"]
    calls = {(call["protocol"], call["host"] or call["address"], call["port"]) for call in ran.report.facts["outgoing"]}
    for target in targets:
        address, _, port = target.rpartition(":")
        assert {("tcp", address, int(port)), ("udp", address, int(port))} <= calls
    assert {
        ("dns", "telemetry.example.com", 53),
        ("dns", "licence.example.org", 53),
        ("tcp", "93.184.215.14", 443),
        ("tcp", "8.8.8.8", 53),
        ("udp", "8.8.8.8", 123),
        ("tcp", "2001:4860:4860::8888", 443),
        ("udp", "2001:4860:4860::8888", 123),
        ("tcp", "169.254.169.254", 80),
        ("icmp", "1.1.1.1", 0),
        ("ip47", "203.0.113.9", 0),
        ("tcp", "198.51.100.7", 7000),
    } <= calls
    assert not [call for call in calls if call[1] == "algo-1"]


def test_calls_are_refused_at_once_and_only_its_own_port_answers(twin: Twin) -> None:
    ran = twin.train("twin-caller", {}, files={"samples/train.csv": b"10.1.2.3:4000"})
    refused = ran.log.text().partition("== Training, calls dropped")[0]
    said = dict(line.split(" -> ", 1) for line in refused.splitlines() if " -> " in line)
    assert said["tcp 10.1.2.3:4000"].startswith("ConnectionRefusedError")
    assert said["tcp 8.8.8.8:53"].startswith("ConnectionRefusedError")
    assert said["metadata"].startswith("ConnectionRefusedError")
    assert said["tcp6"].startswith("ConnectionRefusedError")
    assert said["dns name"].startswith("gaierror")
    assert said["dns tcp"] == "rcode 3"
    assert said["ping"].startswith("TimeoutError")
    assert "127.0.0.1" in said["own name"]
    assert said["tcp 198.51.100.7:7000"] == "connected"
    calls = {(call["address"], call["port"]): call for call in ran.report.facts["outgoing"]
             if call["network"] == "refuse"}  # fmt: skip
    assert calls["198.51.100.7", 7000]["hint"] == "answered by itself"
    assert calls["93.184.215.14", 443]["hint"] == ""


def test_an_attempt_alone_warns_and_names_its_place_time_and_log_line(twin: Twin) -> None:
    ran = twin.train("twin-caller", {}, files={"samples/train.csv": b"10.1.2.3:4000"})
    check = ran.check("TEST-EGRESS")
    assert check.outcome.value == "warn"
    assert "10.1.2.3:4000" in check.params["places"]
    evidence = next(item for item in check.evidence if "telemetry.example.com" in item.text)
    assert "first after" in evidence.text
    assert evidence.log_line is not None
    call = next(call for call in ran.report.facts["outgoing"] if call["host"] == "telemetry.example.com")
    assert call["phase"] == "train"
    assert call["count"] >= 1
    assert 0 <= call["first_seconds"] < 20


def test_the_container_has_dockers_default_rights_no_credentials_and_no_path_of_the_host(twin: Twin) -> None:
    ran = twin.train("twin-hostile", {"hyperparameters": {"mode": "look"}})
    seen = dict(line.split(None, 1) for line in ran.log.text().splitlines() if " " in line or "\t" in line)
    assert seen["NoNewPrivs:"] == "1"
    assert seen["CapEff:"] == "00000000a80425fb"
    assert seen["Seccomp:"] == "2"
    assert seen["interfaces"] == "['lo']"
    names = set(ast.literal_eval(seen["environment"]))
    assert names - {"LC_CTYPE", "PIP_CERT"} == {"HOME", "HOSTNAME", "PATH", "TRAINING_JOB_ARN", "TRAINING_JOB_NAME"}
    assert set(ast.literal_eval(seen["mounts"])) <= {"/opt/ml", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
