"""Training on two hosts that reach each other and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from typing import Any

import pytest

from tests.engine.test_isolation import Listeners, Sibling, heard_by, host_address, sibling  # noqa: F401  a fixture
from tests.engine.twin_fixtures import TRAINING, Ran, Twin
from workers.engine import Engine
from workers.sandbox.holder_image import ensure_holder_image

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def no_other_training_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have tests of their own."""
    monkeypatch.setattr("workers.steps.test.probes.run", lambda *_: [])


START_PAIR_AND_WAIT = """
import os, sys, time
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
import django
django.setup()
from workers.engine import attempt_labels, connect
from workers.sandbox.holder_client import Holder, Place
from workers.sandbox.network import Network
from workers.steps.contract import Stop
labels = attempt_labels(sys.argv[2], "test-host", "killed")
engine = connect()
one = Holder.start(engine, sys.argv[1], labels, [], Stop(), Network.REFUSE, Place("algo-1", "10.255.77.1"))
place = Place("algo-2", "10.255.77.2", str(one.container.id))
two = Holder.start(engine, sys.argv[1], labels, [], Stop(), Network.REFUSE, place)
one.call("connect", Stop(), process=two.process)
print(one.container.id, two.container.id, flush=True)
time.sleep(100)
"""


def train(twin: Twin, mode: str, *, distributed: bool = True, targets: str = "203.0.113.1:80") -> Ran:
    channels = {"train": {"path": "samples"}}
    test = {"instance_type": "ml.m5.large", "channels": channels, "timeout_seconds": 60,
            "hyperparameters": {"mode": mode}}  # fmt: skip
    training: dict[str, Any] = TRAINING | {"SupportsDistributedTraining": distributed}
    spec = {"kind": "Algorithm", "training": training, "tests": {"training": test}}
    return twin.run("twin-hosts", spec, {"samples/targets": targets.encode()})


def test_two_hosts_train_together_each_with_its_own_name_and_volume(twin: Twin) -> None:
    ran = train(twin, "good")
    assert ran.report.problem is None, ran.log.text()
    assert ran.check("TEST-TRAIN-HOSTS").outcome.value == "pass", ran.check("TEST-TRAIN-HOSTS")
    # The first is its own client by its name, and looks up the names of both addresses.
    assert ran.check("TEST-EGRESS").outcome.value == "pass", ran.check("TEST-EGRESS").evidence
    assert "peer 10.255.77.2" in ran.log.text()
    for host in ("algo-1", "algo-2"):
        assert f"{host}: host {host} of ['algo-1', 'algo-2'] name {host}" in ran.log.text()
        assert f"{host}: done on {host}" in ran.log.text()
    for host, address in (("algo-1", "10.255.77.1"), ("algo-2", "10.255.77.2")):
        assert f"{host}: own address {address} of {address}" in ran.log.text()
    assert [host["exit_code"] for host in ran.report.facts["hosts"]] == [0, 0]
    assert [run["phase"] for run in ran.report.facts["runs"]] == ["train", "train-hosts", "train-hosts-2"]


@pytest.mark.parametrize(("mode", "who"), [("fail", "algo-2 ended with exit code 1"), ("alone", "exit code 1")])
def test_a_host_that_fails_fails_the_job(twin: Twin, mode: str, who: str) -> None:
    ran = train(twin, mode)
    assert ran.code == "TEST-TRAIN-HOSTS", ran.log.text()
    assert who in ran.check("TEST-TRAIN-HOSTS").params["reason"]
    assert ran.outcomes()["TEST-TRAIN-EXIT"] == "pass"


def test_an_algorithm_that_claims_nothing_is_trained_on_one_host(twin: Twin) -> None:
    ran = train(twin, "good", distributed=False)
    assert "TEST-TRAIN-HOSTS" not in ran.outcomes()
    assert [run["phase"] for run in ran.report.facts["runs"]] == ["train"]


def test_where_the_hosts_cannot_be_proven_closed_no_container_starts(twin: Twin, monkeypatch: Any) -> None:
    # The other host's address stands for a way out that should not be there.
    monkeypatch.setattr("workers.sandbox.hosts.OUTSIDE", ("10.255.77.2",))
    ran = train(twin, "good")
    check = ran.check("TEST-TRAIN-HOSTS")
    assert check.outcome.value == "skip"
    assert "10.255.77.2 is not local" in check.params["reason"]
    assert "algo-1: host" not in ran.log.text()
    assert ran.report.problem is None


def test_neither_host_nor_gateway_nor_outside_hears_them(
    twin: Twin, engine: Engine, sibling: Sibling  # noqa: F811  the fixture
) -> None:  # fmt: skip
    with closing(Listeners(sibling.gateway)) as bridge, closing(Listeners(host_address())) as host:
        targets = [bridge.target, host.target, f"{sibling.address}:9100"]
        ran = train(twin, "reach", targets=" ".join(targets))
        assert (bridge.heard, host.heard, heard_by(engine, sibling.id)) == (0, 0, 0)
    assert ran.check("TEST-TRAIN-HOSTS").outcome.value == "pass", ran.log.text()
    assert f"algo-2: no way to {targets[0]} eth0" in ran.log.text()
    calls = {(call["phase"], call["address"]) for call in ran.report.facts["outgoing"]}
    assert {("train-hosts", sibling.gateway), ("train-hosts-2", sibling.gateway)} <= calls


def test_both_holders_end_when_their_worker_is_killed(engine: Engine, instance: str) -> None:
    command = [sys.executable, "-c", START_PAIR_AND_WAIT, ensure_holder_image(engine), instance]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with worker:
        assert worker.stdout is not None
        ids = worker.stdout.readline().split()
        assert [engine.client.containers.get(one).status for one in ids] == ["running", "running"]
        os.kill(worker.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        states = [engine.client.containers.get(one).status for one in ids]
        if states == ["exited", "exited"]:
            break
        time.sleep(0.2)
    assert states == ["exited", "exited"]
    engine.remove(engine.owned(instance))
    assert engine.owned(instance) == []
