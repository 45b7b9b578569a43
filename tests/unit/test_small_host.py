"""On a host with fewer CPUs than the instance type has, what was only too slow is not the seller's fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from listings.spec.models import TrainingTest
from tests.engine.context import MemoryLog
from tests.unit.twin_fakes import Server, make_probing, run
from workers.sandbox import hosts
from workers.sandbox.hosts import Machine
from workers.sandbox.resources.profile import Profile, profile_for
from workers.sandbox.serving import load, requests, slowness, start
from workers.sandbox.serving.probing import Probe, Probing, run_probes
from workers.sandbox.subject import Exit
from workers.steps.contract import Stop

CSV = {"csv": ("text/csv", b"1\n2\n")}
SHARE = "this host gave 2 of 16 vCPU of ml.m5.4xlarge"
WHOLE = Profile("ml.m5.large", 8 << 30, 2.0, 64, 1 << 28, 5000, ())
SMALL = replace(WHOLE, instance_type="ml.m5.4xlarge", clamped=("2 of 16 vCPU",), cpu_share=SHARE)


class Host:
    def __init__(self, cpus: int = 2) -> None:
        self.cpus = cpus

    def info(self) -> dict[str, Any]:
        limits = {"MemoryLimit": True, "PidsLimit": True, "CpuCfsQuota": True}
        return {**limits, "NCPU": self.cpus, "MemTotal": 16 << 30}


def told(probing: Probing, code: str) -> tuple[str, bool]:
    """The outcome, and whether the host's share is in its evidence."""
    check = next(check for check in probing.outcome.checks if check.code == code)
    return check.outcome.value, any(item.text.startswith(SHARE) for item in check.evidence)


@pytest.mark.parametrize(("instance_type", "words"), [
    ("ml.m5.large", ""), ("", ""), ("ml.m5.4xlarge", SHARE),
    ("ml.new.large", "this host gave 2 vCPU; how many ml.new.large has is not in Slipway's table"),
])  # fmt: skip
def test_a_profile_says_where_the_host_has_fewer_cpus(instance_type: str, words: str) -> None:
    host: Any = Host()
    assert profile_for(host, instance_type).cpu_share == words


@pytest.mark.parametrize(("profile", "ends", "slowest", "expected"), [
    (WHOLE, {"200": 5}, 2202.0, ("fail", False)),
    (SMALL, {"200": 5}, 2202.0, ("warn", True)),
    (SMALL, {"200": 3, "timeout": 2}, 5000.0, ("warn", True)),
    (SMALL, {"200": 3, "503": 2}, 5000.0, ("fail", False)),
    (SMALL, {"200": 5}, 1.0, ("pass", False)),
])  # fmt: skip
def test_late_pings_under_load_warn_on_a_small_host(
    profile: Profile, ends: dict[str, int], slowest: float, expected: tuple[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.sandbox.serving.growth.memory", lambda _: 1 << 20)
    probing = make_probing(monkeypatch, server := Server(lambda *_: (200, 0.1)), CSV)
    server.profile = profile
    server.load = [{}, *[{"ping_ends": ends, "ping_max_ms": slowest}] * 2]
    run_probes(probing, [Probe(load.CODES, load.parallel_clients)])
    assert told(probing, "TEST-PING-LOAD") == expected


@pytest.mark.parametrize(("profile", "status", "seconds", "outcome"), [
    (WHOLE, 200, 9.0, "fail"), (SMALL, 200, 9.0, "warn"), (SMALL, 503, 0.1, "fail"),
])  # fmt: skip
def test_an_idle_ping_without_an_answer_warns_on_a_small_host(
    profile: Profile, status: int, seconds: float, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    probing = make_probing(monkeypatch, server := Server(lambda *_: (status, seconds)), {})
    server.profile = profile
    monkeypatch.setattr(Probing, "require_alive", lambda *_: None)
    run_probes(probing, [Probe(("TEST-PING-SLOW",), start.judge_idle_ping, needs_sample=False)])
    assert told(probing, "TEST-PING-LOAD") == (outcome, outcome == "warn")


@pytest.mark.parametrize(("profile", "computed", "outcome"), [
    (WHOLE, 110.0, "fail"), (SMALL, 110.0, "warn"), (SMALL, 1.0, "fail"),
], ids=["whole", "computing", "waiting"])  # fmt: skip
def test_a_request_that_computes_too_long_on_a_small_host_warns_and_one_that_hangs_fails(
    profile: Profile, computed: float, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    probing = make_probing(monkeypatch, server := Server(lambda *_: (200, 0.1)), CSV)
    server.profile, server.cpu_seconds = profile, 50.0
    sample, _ = probing.good[0]
    server.talk = lambda *_: (200, 99.0)
    probing.facts["requests"] = []
    before = slowness.cpu_seconds(probing)
    answer = probing.post(b"1\n2\n", "text/csv")
    server.cpu_seconds += computed
    requests._judge(probing, sample, answer, slowness.excuse(probing, answer, before))
    assert told(probing, "TEST-REQUEST-TIME") == (outcome, outcome == "warn")
    assert (probing.outcome.problem is None) == (outcome == "warn")


def test_a_whole_file_of_a_batch_that_computes_too_long_on_a_small_host_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    from workers.sandbox.serving import records

    probing = make_probing(monkeypatch, server := Server(lambda *_: (200, 0.1)), CSV)
    server.profile = SMALL

    def talk(_body: bytes, _type: str) -> tuple[int, float]:
        server.cpu_seconds += 100.0
        return 200, 99.0

    server.talk = talk
    assert run(probing, records.CODE, records.judge) == {records.CODE: "warn"}
    assert told(probing, records.CODE) == ("warn", True)


def allowed(seconds: float, timeout: int = 600, cpus: int = 2) -> hosts.Allowed:
    bench: Any = SimpleNamespace(engine=Host(cpus))
    return hosts.allow(TrainingTest(timeout_seconds=timeout), WHOLE, hosts.half(bench, WHOLE), seconds)


def test_two_hosts_with_half_the_cpus_each_have_twice_the_time(configure_share: None) -> None:
    assert allowed(350.0).profile.cpus == 1.0
    assert (allowed(350.0).limit, allowed(350.0).time_excuses) == (760.0, True)
    assert (allowed(10.0).limit, allowed(10.0).time_excuses) == (600.0, False)
    assert (allowed(350.0, cpus=4).limit, allowed(350.0, cpus=4).time_excuses) == (600.0, False)


@pytest.fixture
def configure_share(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    monkeypatch.setattr(settings, "SLIPWAY", settings.SLIPWAY.model_copy(update={"test_cpus": 4.0}))


def machines(idle: float, first: Exit | None = None) -> Sequence[Machine]:
    made = []
    for name, ended in (("algo-1", first), ("algo-2", None)):
        subject: Any = SimpleNamespace(
            tick=lambda *_: None, seconds=760.5, idle_seconds=lambda: idle, terminate=lambda *_: None,
            out_of_memory=False, profile=WHOLE, last_lines=lambda *_: (),
        )  # fmt: skip
        holder: Any = None
        made.append(Machine(name, holder, subject, "", ended))
    return made


@pytest.mark.parametrize(("idle", "first", "seconds", "outcome"), [
    (0.5, None, 350.0, "skip"), (0.5, Exit(0, False, 9.0), 350.0, "skip"), (90.0, None, 350.0, "fail"),
    (0.5, None, 10.0, "fail"), (0.5, Exit(3, False, 9.0), 350.0, "fail"),
], ids=["both compute", "one computes", "both wait", "fifty times as long", "one failed"])  # fmt: skip
def test_two_hosts_that_only_ran_out_of_time_are_not_judged(
    idle: float, first: Exit | None, seconds: float, outcome: str, configure_share: None, tmp_path: Path
) -> None:
    bench: Any = SimpleNamespace(log=MemoryLog(), stop=Stop())
    some, may = machines(idle, first), allowed(seconds)
    report = hosts._judge(bench, some, hosts._stop_late(some, may.limit), may)
    assert report.outcome.value == outcome
    if outcome == "skip":
        assert "with 1 vCPU each, fewer than the one host had" in report.params["reason"]
