"""The three runs of a phase that calls out: refused, dropped, listened to; what each finds, and what it decides."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract_rows import detects
from tests.engine.twin_fixtures import Ran, Twin

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def no_other_training_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have tests of their own."""
    monkeypatch.setattr("workers.steps.test.probes.run", lambda *_: [])


def train(twin: Twin, mode: str, **test: Any) -> Ran:
    return twin.train("twin-network", {"hyperparameters": {"mode": mode}, **test})


def networks(ran: Ran) -> list[tuple[str, str]]:
    """Of the two phases; other runs have tests of their own."""
    runs = ran.report.facts["runs"]
    return [(run["phase"], run["network"]) for run in runs if run["phase"] in ("train", "serve")]


def said(ran: Ran, network: str = "refuse") -> dict[str, str]:
    """What the image printed in its run with ``network``."""
    parts = dict(zip(("", "refuse", "drop", "diagnose"), ran.log.text().split("== Training"), strict=False))
    return dict(line.split(" -> ", 1) for line in parts[network].splitlines() if " -> " in line)


def test_calls_of_every_kind_are_named_and_each_run_is_shown_for_what_it_is(twin: Twin) -> None:
    ran = train(twin, "kinds")
    assert ran.report.problem is None, ran.log.text()
    assert networks(ran) == [("train", "refuse"), ("train", "drop"), ("train", "diagnose")]
    assert "== Training, calls dropped" in ran.log.text()
    assert "== Training, calls listened to" in ran.log.text()
    calls = ran.report.facts["outgoing"]
    places = {(call["protocol"], call["host"] or call["address"]) for call in calls if call["network"] == "refuse"}
    assert places == {
        ("dns", "huggingface.co"), ("dns", "pypi.example"), ("dns", "static.example.org"),
        ("dns", "own-resolver.example.org"), ("dns", "by-tcp.example.org"), ("tcp", "93.184.215.14"),
        ("tcp", "2001:4860:4860::8888"), ("tcp", "169.254.169.254"), ("tcp", "169.254.170.2"),
    }  # fmt: skip
    hints = {call["host"] or call["address"]: call["hint"] for call in calls if call["network"] == "refuse"}
    assert "by TCP" in hints["by-tcp.example.org"]
    assert hints["169.254.169.254"] == "instance metadata"
    assert hints["169.254.170.2"] == "ECS credentials"
    assert all(call["log_line"] for call in calls)


def test_the_evidence_names_ports_tls_names_and_request_lines_with_what_to_do(twin: Twin) -> None:
    check = train(twin, "kinds").check("TEST-EGRESS")
    assert check.outcome.value == "warn"
    texts = [item.text for item in check.evidence]
    hugging_face = next(text for text in texts if "huggingface.co" in text)
    assert "tls huggingface.co:443" in hugging_face
    assert "GET /simple/numpy/?x=1" in next(text for text in texts if "pypi.example" in text)
    assert "GET /latest/meta-data/iam/" in next(text for text in texts if "169.254.169.254" in text)
    assert any("GET /licence" in text for text in texts)
    assert any(text.startswith("ECS credentials: ") for text in texts)
    assert "HF_HUB_OFFLINE=1" in check.patch
    assert "pip install" in check.patch


def test_each_network_answers_in_its_own_way_and_the_own_name_is_always_known(twin: Twin) -> None:
    ran = train(twin, "kinds")
    refused, dropped, heard = (said(ran, network) for network in ("refuse", "drop", "diagnose"))
    for what in ("ipv6", "hard-coded", "metadata", "ecs"):
        assert refused[what].startswith("ConnectionRefusedError")
        assert dropped[what].startswith("TimeoutError")
    assert (refused["own resolver"], heard["own resolver"]) == ("rcode 3", "rcode 0")
    assert (refused["dns tcp"], heard["dns tcp"]) == ("rcode 3", "rcode 0")
    for what in ("own resolver", "dns tcp"):
        assert dropped[what].startswith("TimeoutError")
    assert "404 Not Found" in heard["metadata"]
    for run in (refused, dropped, heard):
        assert run["own name by dns"] == "rcode 0"
        assert "127.0.0.1" in run["own name"]


@detects(16, "TEST-EGRESS")
def test_waiting_for_an_answer_beyond_the_time_limit_fails(twin: Twin) -> None:
    ran = train(twin, "hang", timeout_seconds=10)
    assert ran.code == "TEST-EGRESS"
    assert ran.check("TEST-EGRESS").outcome.value == "fail"
    assert ran.check("TEST-EGRESS").evidence[0].label == "calls dropped"
    assert "10 seconds" in ran.check("TEST-EGRESS").evidence[0].text
    assert ran.outcomes()["TEST-TRAIN-EXIT"] == "pass"
    assert "TEST-TRAIN-TIMEOUT" not in ran.outcomes()


def test_an_attempt_that_is_given_up_in_time_warns(twin: Twin) -> None:
    ran = train(twin, "patient", timeout_seconds=20)
    assert ran.code == ""
    assert ran.check("TEST-EGRESS").outcome.value == "warn"


def test_a_run_that_broke_already_is_not_run_with_its_calls_dropped(twin: Twin) -> None:
    ran = train(twin, "fragile", timeout_seconds=20)
    assert ran.code == "TEST-TRAIN-EXIT"
    assert ran.check("TEST-EGRESS").outcome.value == "fail"
    assert networks(ran) == [("train", "refuse"), ("train", "diagnose")]
    assert [skipped["network"] for skipped in ran.report.facts["runs_skipped"]] == ["drop"]
    assert any("was not run with calls dropped" in item.text for item in ran.check("TEST-EGRESS").evidence)


def test_a_run_that_broke_for_another_reason_is_not_run_again(twin: Twin) -> None:
    ran = train(twin, "disk")
    assert ran.code == "TEST-DISK"
    assert networks(ran) == [("train", "refuse")]
    assert ran.check("TEST-EGRESS").outcome.value == "warn"


def test_every_port_is_the_containers_own(twin: Twin) -> None:
    ran = train(twin, "ports")
    assert ran.report.problem is None, ran.log.text()
    for network in ("refuse", "drop", "diagnose"):
        assert said(ran, network)["own port"] == "connected"
    assert said(ran)["dns beside own"] == "rcode 3"


SERVED_ITSELF = "own address -> ('127.0.0.1', b'served itself')"


def test_a_program_that_asks_for_its_own_address_and_serves_itself_there_calls_nobody(twin: Twin) -> None:
    ran = train(twin, "own-address")
    assert SERVED_ITSELF in ran.log.text()
    assert "own address -> ('::1', b'served itself')" in ran.log.text()
    assert (ran.check("TEST-EGRESS").outcome.value, ran.report.facts["outgoing"]) == ("pass", [])


def test_the_own_address_is_the_same_however_calls_fail_and_calls_to_elsewhere_are_told_beside_it(twin: Twin) -> None:
    ran = train(twin, "own-address-and-call")
    assert ran.log.text().count(SERVED_ITSELF) == 3
    calls = [call for call in ran.report.facts["outgoing"] if ":" not in call["address"]]
    assert {call["network"] for call in calls} == {"refuse", "drop", "diagnose"}
    told = [(call["network"], call["protocol"], call["address"], call["port"], call["count"]) for call in calls]
    assert sorted(told) == sorted(
        (network, protocol, "198.51.100.7", port, 1)
        for network in ("refuse", "drop", "diagnose") for protocol, port in (("tcp", 7000), ("udp", 7001))
    )  # fmt: skip
    refused = [call for call in calls if call["network"] == "refuse"]
    assert [call["hint"] for call in refused] == ["answered by itself"] * 2
    assert "answered by itself" not in {call["hint"] for call in calls if call not in refused}


def test_no_call_makes_no_further_run(twin: Twin) -> None:
    ran = train(twin, "quiet")
    assert ran.check("TEST-EGRESS").outcome.value == "pass"
    assert networks(ran) == [("train", "refuse")]


def test_more_places_than_are_listed_are_counted(twin: Twin) -> None:
    ran = train(twin, "flood")
    assert ran.report.problem is None, ran.log.text()
    check = ran.check("TEST-EGRESS")
    calls = [call for call in ran.report.facts["outgoing"] if call["network"] == "refuse"]
    assert len(calls) == 500
    exact = not check.params["count"].startswith("at least ")
    assert int(check.params["count"].removeprefix("at least ")) <= 10_000
    assert not exact or check.params["count"] == "10000"
    assert len(check.evidence) <= 20
    assert any("not told apart" in item.text for item in check.evidence)


@pytest.mark.parametrize(("mode", "outcome"), [("quiet", "pass"), ("report", "warn")])
def test_calls_while_serving(twin: Twin, mode: str, outcome: str) -> None:
    ran = twin.serve("twin-network", mode)
    assert ran.code == "", ran.log.text()
    assert ran.check("TEST-EGRESS").outcome.value == outcome
    wanted = [("serve", "refuse")] + ([("serve", "drop"), ("serve", "diagnose")] if mode == "report" else [])
    assert networks(ran) == wanted


def test_a_request_that_waits_for_elsewhere_fails(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.serving.probing.INVOCATION_SECONDS", 3.0)
    ran = twin.serve("twin-network", "hang")
    # Batch mode called the same place, of which the runs of serving have told.
    assert networks(ran) == [("serve", "refuse"), ("serve", "drop"), ("serve", "diagnose")]
    assert [run["network"] for run in ran.report.facts["runs"] if run["phase"] == "serve-batch"] == ["refuse"]
    assert ran.code == "TEST-EGRESS"
    assert "no whole answer after 3 seconds" in ran.check("TEST-EGRESS").evidence[0].text
    assert ran.outcomes()["TEST-REQUEST"] == "pass"


def test_a_batch_mode_that_waits_for_elsewhere_fails(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.serving.batch.REQUEST_SECONDS", 3.0)
    ran = twin.serve("twin-network", "batch")
    assert ran.code == "TEST-EGRESS", ran.log.text()
    assert "serve-batch, calls dropped" in ran.check("TEST-EGRESS").evidence[0].text
    assert ran.outcomes()["TEST-BATCH-RECORDS"] == "pass"
