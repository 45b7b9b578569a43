"""The training runs on an image that trains carefully, and with one planted fault at a time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract_rows import detects
from tests.engine.twin_fixtures import Ran, Twin

pytestmark = pytest.mark.timeout(180)

EPOCHS = {
    "Name": "epochs", "Type": "Integer", "DefaultValue": "2",
    "Range": {"IntegerParameterRangeSpecification": {"MinValue": "1", "MaxValue": "10"}},
}  # fmt: skip
RATE = {
    "Name": "rate", "Type": "Continuous", "DefaultValue": "0.5",
    "Range": {"ContinuousParameterRangeSpecification": {"MinValue": "0", "MaxValue": "1"}},
}  # fmt: skip
LABEL = {"Name": "label", "Type": "FreeText", "IsRequired": True}
#: Without a type, a range or a need: nothing about these can be wrong.
FREE = [{"Name": name, "Type": "FreeText", "DefaultValue": value}
        for name, value in (("epochs", "2"), ("rate", "0.5"), ("label", "y"), ("faults", ""))]  # fmt: skip
METRICS = {
    "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9a-z.]+)"}],
    "SupportedTuningJobObjectiveMetrics": [{"Type": "Minimize", "MetricName": "loss"}],
}
FILES = {"samples/train/a.csv": b"1\n2\n", "samples/train/b.csv": b"3\n", "samples/test.csv": b"9\n"}
CHANNELS = {"train": {"path": "samples/train"}, "test": {"path": "samples/test.csv"}}


def train(
    twin: Twin, faults: str = "", modes: str = "File", image: str = "twin-trainer", label: str = "y", **training: Any
) -> Ran:
    """``faults``: what twin-trainer does wrong. ``modes``: of its channels, with a space between. By default nothing is
    declared of which more runs would be made but the one that is stopped."""
    declared = [
        {"Name": name, "SupportedContentTypes": ["text/csv"], "SupportedInputModes": modes.split()} for name in CHANNELS
    ]
    spec = {
        "SupportedHyperParameters": FREE, "SupportedTrainingInstanceTypes": ["ml.m5.large"],
        "TrainingChannels": declared, **training,
    }  # fmt: skip
    values = {"faults": faults, "label": label}
    test = {"instance_type": "ml.m5.large", "channels": CHANNELS, "hyperparameters": values}
    return twin.run(image, {"kind": "Algorithm", "training": spec, "tests": {"training": test}}, FILES)


def unusual(ran: Ran) -> dict[str, str]:
    return {code: outcome for code, outcome in ran.outcomes().items() if outcome != "pass"}


def runs(ran: Ran) -> list[str]:
    return [run["phase"] for run in ran.report.facts["runs"]]


def test_a_careful_algorithm_passes_every_run_with_a_reason_to_be_made(twin: Twin) -> None:
    parameters = [EPOCHS, RATE, LABEL, FREE[-1]]
    ran = train(
        twin, "slow", modes="File FastFile Pipe", SupportedHyperParameters=parameters, SupportsDistributedTraining=True,
        **METRICS,
    )  # fmt: skip
    assert ran.report.problem is None, ran.log.text()
    # Two hosts are another part's to show.
    assert {code: found for code, found in unusual(ran).items() if code != "TEST-TRAIN-HOSTS"} == {}, ran.log.text()
    for code in ("TEST-TRAIN-PIPE", "TEST-TRAIN-FASTFILE", "TEST-TRAIN-TUNING", "TEST-TRAIN-STOP", "TEST-TRAIN-EMPTY",
                 "TEST-VALUES-ACCEPTED", "TEST-VALUES-REASON", "TEST-METRICS-OBJECTIVE",
                 "TEST-MODEL-FILES"):  # fmt: skip
        assert ran.outcomes()[code] == "pass"
    expected = ["train", "train-pipe", "train-fastfile", "train-tuning", "train-stop", "train-empty",
                "train-values-range", "train-values-type", "train-values-missing", "train-values-range-2",
                "train-values-range-3"]  # fmt: skip
    assert [phase for phase in runs(ran) if phase in expected] == expected
    facts = ran.report.facts["training"]
    assert facts["metrics"] == {"loss": [1.0, 0.5]}
    assert [value for _, value in facts["metric_series"]["loss"]] == [1.0, 0.5]
    # The container waits between the two; on a busy host the first line may be read late.
    (first, _), (second, _) = facts["metric_series"]["loss"]
    assert 0 < first < second - 0.5 < facts["seconds"]
    assert facts["model_listing"] == [["weights", 1]]
    assert facts["model_unpacked_bytes"] == 1
    assert facts["output_listing"] == [["report.txt", 4]]
    told = [item.text for item in ran.check("TEST-VALUES-REASON").evidence]
    assert told[0] == "epochs=0: ValueError: epochs=0 or rate=0.5 is out of range"
    assert told[1].startswith("rate=not-a-number: ValueError")
    assert told[2] == "label left out: ValueError: label is missing"
    assert told[3:] == [
        "rate=2: ValueError: epochs=2 or rate=2.0 is out of range",
        "epochs=11: ValueError: epochs=11 or rate=0.5 is out of range",
    ]
    stopped = next(run for run in ran.report.facts["runs"] if run["phase"] == "train-stop")
    assert [mark["kind"] for mark in stopped["marks"]] == ["start", "signal", "end"]
    assert [item.text for item in ran.check("TEST-TRAIN-STOP").evidence][1] == "1 files in /opt/ml/checkpoints"
    pipes = [item.text for item in ran.check("TEST-TRAIN-PIPE").evidence]
    assert "train: opened 2 times, read to its end 2 times, 12 bytes" in pipes


def test_an_algorithm_that_reads_pipes_only_is_trained_through_pipes(twin: Twin) -> None:
    ran = train(twin, "half", modes="Pipe")
    assert ran.report.problem is None, ran.log.text()
    # It does not want its second channel.
    assert ran.outcomes()["TEST-TRAIN-PIPE"] == "warn"
    assert ran.check("TEST-TRAIN-PIPE").params["reason"] == "it never opened test"
    assert "channels {'train': 'Pipe', 'test': 'Pipe'}" in ran.log.text()
    assert "data ['test_0', 'train_0'] checkpoints False" in ran.log.text()
    assert ran.log.text().count("sum 6.0") >= 2


def test_a_fastfile_channel_is_mounted_read_only(twin: Twin) -> None:
    ran = train(twin, modes="FastFile")
    assert ran.report.problem is None, ran.log.text()
    assert "read-only: Read-only file system" in ran.log.text()
    assert "data ['test', 'train']" in ran.log.text()


def test_training_that_writes_beside_its_data_fails_in_fastfile_mode_alone(twin: Twin) -> None:
    ran = train(twin, "scratch", modes="File FastFile")
    assert ran.code == "TEST-TRAIN-FASTFILE", ran.log.text()
    assert "exit code 1" in ran.report.problem.params["reason"]
    assert any("Read-only file system" in item.text for item in ran.report.problem.evidence)
    assert ran.outcomes()["TEST-TRAIN-EXIT"] == "pass"


def test_training_that_wants_files_fails_in_pipe_mode_alone(twin: Twin) -> None:
    ran = train(twin, "files-only", modes="File Pipe")
    assert ran.code == "TEST-TRAIN-PIPE"
    assert "exit code 1" in ran.report.problem.params["reason"]
    assert any("FileNotFoundError" in item.text for item in ran.report.problem.evidence)
    assert ran.outcomes()["TEST-TRAIN-EXIT"] == "pass"


def test_a_parser_that_refuses_the_tuning_jobs_parameter_is_told(twin: Twin) -> None:
    ran = train(twin, "strict", **METRICS)
    assert {code for code, outcome in unusual(ran).items() if outcome != "skip"} == {"TEST-TRAIN-TUNING"}
    assert ran.code == "TEST-TRAIN-TUNING"
    assert any("unrecognized arguments: {'_tuning_objective_metric'}" in i.text for i in ran.report.problem.evidence)


@pytest.mark.parametrize(
    ("fault", "outcome", "words"),
    [
        ("", "pass", ""),
        ("saves", "pass", ""),
        ("deaf", "warn", "had to be killed"),
        ("runs-on", "warn", "ran on to its end"),
    ],
)
@detects(26, "TEST-TRAIN-STOP")
def test_sigterm_in_the_middle_of_training(
    twin: Twin, monkeypatch: pytest.MonkeyPatch, fault: str, outcome: str, words: str
) -> None:
    monkeypatch.setattr("workers.sandbox.training.stopping.GRACE_SECONDS", 0.3 if fault == "deaf" else 30.0)
    ran = train(twin, f"slow {fault}")
    assert ran.report.problem is None, ran.log.text()
    check = ran.check("TEST-TRAIN-STOP")
    assert (check.outcome.value, words in check.params["reason"]) == (outcome, True), ran.log.text()
    assert ("signal.signal" in check.patch) is (outcome == "warn")


def test_sigterm_that_stays_with_the_shell_is_told_with_the_entrypoint(twin: Twin) -> None:
    ran = train(twin, image="twin-shell-form")
    assert unusual(ran) == {"TEST-TRAIN-STOP": "warn"}
    check = ran.check("TEST-TRAIN-STOP")
    assert "ran on to its end" in check.params["reason"]
    assert [item.text for item in check.evidence][-1] == "ENTRYPOINT sh /start.sh; exit $?"
    assert "exec form" in check.patch


def test_a_training_too_short_to_be_stopped_is_not_judged(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.training.stopping.SHORTEST_SECONDS", 60.0)
    ran = train(twin)
    assert unusual(ran) == {"TEST-TRAIN-STOP": "skip"}
    assert runs(ran) == ["train"]


TAMPER = """
cd /opt/ml/input/data
rm train_0 test_0
ln -s /etc/passwd train_0
mkdir test_0 train_1
mv /opt/ml/input/data /opt/ml/input/moved
ln -s /opt/ml/model /opt/ml/input/data
echo model > /opt/ml/model/model
"""


def test_a_container_that_tampers_with_its_pipes_hurts_nobody(twin: Twin) -> None:
    ran = train(twin, "shell", modes="Pipe", label=TAMPER)
    assert ran.report.problem is None, ran.log.text()
    assert ran.check("TEST-TRAIN-PIPE").params["reason"] == "it never opened train, test"
    assert ran.report.facts["training"]["model_listing"] == [["model", 6]]


def test_a_reader_that_stops_in_the_middle_of_a_pipe_is_stopped(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.training.piping.MORE_SECONDS", 1.0)
    script = """
    test -e /opt/ml/input/data/train_0 || { echo model > /opt/ml/model/model; exit; }
    exec 3< /opt/ml/input/data/train_0
    sleep 600
    """
    ran = train(twin, "shell", modes="File Pipe", label=script)
    assert ran.code == "TEST-TRAIN-PIPE"
    assert ran.report.problem.params["reason"] == "it had to be stopped (TEST-TRAIN-TIMEOUT)"
    assert any(item.text.startswith("train: opened 1 times") for item in ran.report.problem.evidence)


@detects(27, "TEST-VALUES-ACCEPTED")
def test_bad_hyperparameters_that_are_accepted_are_named(twin: Twin) -> None:
    ran = train(twin, "greedy", SupportedHyperParameters=[EPOCHS, RATE, LABEL, FREE[-1]])
    assert ran.outcomes()["TEST-VALUES-ACCEPTED"] == "warn"
    assert ran.check("TEST-VALUES-ACCEPTED").params["values"] == (
        "epochs=0, rate=not-a-number, label left out, rate=2, epochs=11"
    )
    assert ran.report.problem is None


def test_a_failure_without_a_reason_is_told(twin: Twin) -> None:
    ran = train(twin, "mute", SupportedHyperParameters=[EPOCHS, *FREE[1:]])
    assert ran.outcomes()["TEST-VALUES-ACCEPTED"] == "pass"
    assert ran.outcomes()["TEST-VALUES-REASON"] == "warn"
    assert ran.check("TEST-VALUES-REASON").params["values"] == "epochs=0, epochs=not-a-number, epochs=11"


def test_a_crash_on_an_empty_channel_is_told(twin: Twin) -> None:
    ran = train(twin, "empty-crash", SupportsDistributedTraining=True)
    assert ran.outcomes()["TEST-TRAIN-EMPTY"] == "warn"
    assert "exit code 1" in ran.check("TEST-TRAIN-EMPTY").params["how"]


@pytest.mark.parametrize(
    ("fault", "codes"),
    [("nan", {"TEST-METRICS-NAN", "TEST-METRICS-OBJECTIVE"}),
     ("no-metric", {"TEST-TRAIN-METRICS", "TEST-METRICS-OBJECTIVE"}), ("links", {"TEST-MODEL-FILES"})],
)  # fmt: skip
@detects(24, "TEST-METRICS-OBJECTIVE")
@detects(24, "TEST-TRAIN-METRICS")
def test_metrics_and_model_files_that_cannot_be_used(twin: Twin, fault: str, codes: set[str]) -> None:
    ran = train(twin, fault, **METRICS)
    assert {code for code, outcome in unusual(ran).items() if outcome != "skip"} == codes
    assert ran.report.problem is None


@detects(5, "TEST-NO-PROGRAM")
def test_a_train_without_the_executable_bit_cannot_be_started(twin: Twin) -> None:
    ran = train(twin, image="twin-locked")
    assert ran.code == "TEST-NO-PROGRAM"
    assert any("permission denied" in item.text for item in ran.report.problem.evidence)


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("no-such-program", 127, "look at the PATH"),
        ("/etc/passwd", 126, "executable bit"),
        ("sh -c 'kill -9 $$'; exit $?", 137, "no process of it ran out of memory"),
        ("sh -c 'kill -ABRT $$'; exit $?", 134, "SIGABRT"),
        ("sh -c 'kill -ILL $$'; exit $?", 132, "SIGILL"),
        ("echo too bad > /opt/ml/output/failure; exit 3", 3, "its own exit code"),
    ],
)
@detects(27, "TEST-TRAIN-EXIT")
def test_an_exit_code_is_told_with_where_to_look(twin: Twin, script: str, code: int, words: str) -> None:
    ran = train(twin, "shell", label=script)
    assert ran.code == "TEST-TRAIN-EXIT"
    assert ran.report.problem.params["exit_code"] == str(code)
    assert words in ran.report.problem.params["meaning"]
    assert ran.report.facts["training"]["failure"] == ("too bad" if code == 3 else "")
    assert runs(ran) == ["train"]  # nothing more is asked of a training that failed
