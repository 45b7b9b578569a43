"""Which runs of the isolated test are made, in what time, and what a call in one of them is blamed for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings

from listings.problems import ProblemError
from listings.reports import CheckOutcome, ProblemReport
from listings.spec.models import VersionSpec
from tests.engine.context import MemoryLog
from workers.sandbox import phase
from workers.sandbox.network import Network
from workers.sandbox.phase import Outcome
from workers.sandbox.plan import NO_TIME, Plan, within_the_step
from workers.sandbox.resources.profile import Profile, profile_for
from workers.sandbox.subject import Exit
from workers.sandbox.training import fast_file, probes
from workers.sandbox.training.job import Ended
from workers.steps import test as test_step
from workers.steps.contract import Stop

CALL = {
    "network": "refuse", "protocol": "tcp", "host": "", "address": "192.0.2.1", "port": 443, "count": 1,
    "first_seconds": 0.1, "last_seconds": 0.1, "hint": "", "details": [], "log_line": None,
}  # fmt: skip
PROFILE = Profile("ml.m5.large", 8 << 30, 2.0, 64, 1 << 28, 5000, ())
RANGE = {"IntegerParameterRangeSpecification": {"MinValue": "1", "MaxValue": "10"}}


def spec(*, timeout: int = 600, body: str = "samples/in.csv") -> VersionSpec:
    """An algorithm that gives reason for every further run, and serves its model."""
    training = {
        "SupportedHyperParameters": [
            {"Name": "epochs", "Type": "Integer", "DefaultValue": "2", "IsTunable": True, "Range": RANGE}
        ],
        "SupportedTrainingInstanceTypes": ["ml.m5.large"],
        "SupportsDistributedTraining": True,
        "TrainingChannels": [
            {
                "Name": "train",
                "SupportedContentTypes": ["text/csv"],
                "SupportedInputModes": ["File", "FastFile", "Pipe"],
            }
        ],
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
    }
    test = {"instance_type": "ml.m5.large", "channels": {"train": {"path": "samples"}}, "timeout_seconds": timeout}
    return VersionSpec.model_validate({"kind": "Algorithm", "training": training, "tests": {"training": test}})


def bench(folder: Path) -> phase.Bench:
    engine: Any = None
    image: Any = None
    return phase.Bench(engine, image, "holder", {}, "name", MemoryLog(), Stop(), folder)


def calling(name: str, code: str = "", *, called: bool = False, network: Network = Network.REFUSE) -> Outcome:
    return Outcome(
        name, network, problem=ProblemReport(code) if code else None, outgoing=[{**CALL, "phase": name}] * called
    )


def egress(folder: Path, *outcomes: Outcome) -> CheckOutcome:
    plan = Plan(bench(folder))
    plan.add(*outcomes)
    report = test_step._report(spec(), plan, {"train": PROFILE}, None)
    return next(check.outcome for check in report.checks if check.code == "TEST-EGRESS")


def test_a_call_is_blamed_only_for_the_phase_that_made_it(tmp_path: Path) -> None:
    wrong = "TEST-REQUEST"
    assert egress(tmp_path, calling("train", called=True), calling("serve", wrong)) is CheckOutcome.WARN
    assert egress(tmp_path, calling("train"), calling("serve", wrong, called=True)) is CheckOutcome.FAIL
    assert egress(tmp_path, calling("train"), calling("serve", called=True)) is CheckOutcome.WARN
    assert egress(tmp_path, calling("train", "TEST-TRAIN-EXIT", called=True)) is CheckOutcome.FAIL
    assert egress(tmp_path, calling("train", "TEST-DISK", called=True)) is CheckOutcome.WARN


def test_calls_that_are_not_told_apart_are_calls_of_their_phase(tmp_path: Path) -> None:
    lost = Outcome("serve", lost_calls=3, problem=ProblemReport("TEST-REQUEST"))
    assert egress(tmp_path, calling("train"), lost) is CheckOutcome.FAIL


def test_a_hang_in_batch_mode_is_blamed_on_its_calls(tmp_path: Path) -> None:
    hung = calling("serve-batch", "TEST-BATCH-RECORDS", called=True, network=Network.DROP)
    assert egress(tmp_path, calling("serve"), calling("serve-batch", called=True), hung) is CheckOutcome.FAIL


def serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Plan, list[Network]]:
    """Serve an algorithm's model with a server that calls out in batch mode only."""
    runs: list[Network] = []

    def run_batch(some: phase.Bench, *_: Any) -> Outcome:
        runs.append(some.network)
        return calling("serve-batch", called=True, network=some.network)

    monkeypatch.setattr(test_step.serving, "run", lambda *_: calling("serve"))
    monkeypatch.setattr(test_step.batch, "is_worth_a_run", lambda _: True)
    monkeypatch.setattr(test_step.batch, "run", run_batch)
    plan = Plan(bench(folder))
    inference: Any = SimpleNamespace(Containers=[])
    test: Any = SimpleNamespace(requests=[])
    samples: Any = None
    models = [lambda: test_step._model(None, None)]
    test_step._serve(plan, bench(folder), inference, test, samples, models, PROFILE)
    return plan, runs


def test_calls_in_batch_mode_are_dropped_and_listened_to_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, runs = serve(tmp_path, monkeypatch)
    assert runs == [Network.REFUSE, Network.DROP, Network.DIAGNOSE]
    assert [outcome.phase for outcome in plan.outcomes] == ["serve", *["serve-batch"] * 3]


def test_batch_mode_without_time_is_skipped_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plan, "has_time", lambda *_: False)
    plan, runs = serve(tmp_path, monkeypatch)
    assert runs == []
    (check,) = plan.outcomes[0].checks
    assert (check.code, check.outcome) == ("TEST-BATCH-START", CheckOutcome.SKIP)
    assert NO_TIME in check.evidence[0].text


def probed(folder: Path, seconds: float, left: float, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Outcome]:
    """The further runs that are made where ``left`` seconds remain, after a training of ``seconds``."""
    made: list[str] = []
    for name in ("piping", "fast_file", "tuning", "stopping"):
        monkeypatch.setattr(getattr(probes, name), "run", lambda *_, name=name: made.append(name) or Outcome(name))
    monkeypatch.setattr(probes, "_without_a_file", lambda *_: made.append("empty") or Outcome("empty"))
    monkeypatch.setattr(probes.values, "run", lambda *_: made.append("values") or [])
    decided = Outcome("train", facts={"seconds": seconds})
    samples: Any = None
    probes.run(bench(folder), spec(), samples, {"train": PROFILE}, [decided], lambda longest: longest <= left)
    return made, decided


def test_each_further_training_run_is_made_where_there_is_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, decided = probed(tmp_path, 20.0, 1000.0, monkeypatch)
    assert made == ["piping", "fast_file", "tuning", "stopping", "empty", "values"]
    assert decided.checks == []


def test_a_further_training_run_without_time_is_a_skip_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, decided = probed(tmp_path, 2700.0, 400.0, monkeypatch)
    assert made == ["values"]
    assert {check.code: check.outcome.value for check in decided.checks} == dict.fromkeys(
        ["TEST-TRAIN-PIPE", "TEST-TRAIN-FASTFILE", "TEST-TRAIN-STOP", "TEST-TRAIN-TUNING", "TEST-TRAIN-EMPTY"], "skip"
    )
    assert all(NO_TIME in check.evidence[0].text for check in decided.checks)
    assert decided.problem is None


def test_training_gets_no_more_time_than_the_step_can_give() -> None:
    log = MemoryLog()
    tests = within_the_step(spec(timeout=28_800), log).tests
    assert tests.training is not None
    assert tests.training.timeout_seconds == 0.75 * settings.SLIPWAY.test_timeout_seconds
    assert "28800" in log.text()
    same = spec(timeout=600)
    assert within_the_step(same, log) is same


@pytest.mark.parametrize(
    ("ended", "files", "expected"),
    [
        (Ended(Exit(0, False, 1.0), "", "", ()), 1, CheckOutcome.PASS),
        (Ended(Exit(0, False, 1.0), "", "", ()), 0, CheckOutcome.FAIL),
        (Ended(Exit(1, False, 1.0), "", "", ()), 1, CheckOutcome.FAIL),
        (Ended(None, "TEST-TRAIN-TIMEOUT", "", ()), 1, CheckOutcome.SKIP),
    ],
)
def test_how_a_training_from_read_only_mounts_is_judged(ended: Ended, files: int, expected: CheckOutcome) -> None:
    outcome, reason = fast_file.judge(ended, files)
    assert (outcome, bool(reason)) == (expected, expected is not CheckOutcome.PASS)


class Host:
    def info(self) -> dict[str, Any]:
        return {"MemoryLimit": True, "PidsLimit": True, "CpuCfsQuota": True, "NCPU": 4, "MemTotal": 16 << 30}


@pytest.mark.parametrize(
    ("instance_type", "code"),
    [("ml.m5.large", ""), ("", ""), ("ml.m5.24xlarge", "TEST-HOST-TOO-SMALL"), ("ml.new.large", "TEST-HOST-TOO-SMALL")],
    ids=["whole", "the host's share", "too large", "of unknown size"],
)
def test_out_of_memory_is_the_sellers_only_at_a_size_that_is_known_to_be_whole(instance_type: str, code: str) -> None:
    host: Any = Host()
    profile = profile_for(host, instance_type)
    subject: Any = SimpleNamespace(profile=profile, peak_memory=profile.memory_bytes, last_lines=lambda _: ())
    outcome, ended = Outcome("train"), Exit(137, True, 1.0)
    if code:
        with pytest.raises(ProblemError) as raised:
            phase.judge_memory(outcome, subject, ended)
        assert raised.value.code == code
    else:
        assert phase.judge_memory(outcome, subject, ended)
        assert outcome.problem is not None
        assert outcome.problem.code == "TEST-MEMORY"


def test_a_process_killed_for_memory_on_a_small_host_is_not_judged_where_the_run_went_on() -> None:
    host: Any = Host()
    profile = profile_for(host, "ml.m5.24xlarge")
    subject: Any = SimpleNamespace(profile=profile, peak_memory=profile.memory_bytes, last_lines=lambda _: ())
    outcome = Outcome("serve")
    assert not phase.judge_memory(outcome, subject, Exit(0, True, 1.0))
    (check,) = outcome.checks
    assert (check.code, check.outcome, outcome.problem) == ("TEST-MEMORY", CheckOutcome.SKIP, None)
    assert check.evidence[0].text.startswith("the kernel killed a process at 8 GiB, this host's share")
