"""Containers that misbehave: each ends with its own code, within its limits, and leaves nothing behind."""

from __future__ import annotations

import io
import re
import tarfile
import threading
import time

import pytest

from tests.contract_rows import detects
from tests.engine.context import stop_after
from tests.engine.twin_fixtures import Twin, tar_of
from workers.steps.contract import StepStopped, Stop, StopReason

pytestmark = pytest.mark.timeout(180)


def train(twin: Twin, mode: str, **test: object):
    return twin.train("twin-hostile", {"hyperparameters": {"mode": mode}, **test})


def test_training_that_exits_at_once_shows_its_code_and_last_lines(twin: Twin) -> None:
    ran = train(twin, "exit")
    assert ran.code == "TEST-TRAIN-EXIT"
    assert ran.report.problem.params["exit_code"] == "1"
    assert any(item.text == "mode exit" and item.log_line == ran.log.number_of("mode exit")
               for item in ran.report.problem.evidence)  # fmt: skip
    assert ran.report.facts["training"]["exit_code"] == 1


def test_the_failure_file_is_evidence_and_cut_as_sagemaker_cuts_it(twin: Twin) -> None:
    ran = train(twin, "fail")
    assert ran.code == "TEST-TRAIN-EXIT"
    assert ran.report.facts["training"]["failure"].startswith("the label column is missing")
    assert len(ran.report.facts["training"]["failure"]) == 1024
    assert ran.report.problem.evidence[0].label == "/opt/ml/output/failure"


def test_a_crash_is_named(twin: Twin) -> None:
    ran = train(twin, "crash")
    assert ran.code == "TEST-TRAIN-EXIT"
    assert "SIGSEGV" in ran.report.problem.params["meaning"]


def test_training_that_leaves_no_model_fails(twin: Twin) -> None:
    assert train(twin, "nothing").code == "TEST-TRAIN-MODEL"


def test_a_model_directory_replaced_by_a_link_is_no_model(twin: Twin) -> None:
    assert train(twin, "link-out").code == "TEST-TRAIN-MODEL"


def test_links_that_leave_the_model_and_special_files_are_left_out(twin: Twin) -> None:
    ran = train(twin, "links")
    assert ran.code == ""
    assert ran.report.facts["training"]["model_files"] == 1
    assert "left out of model.tar.gz: the link 'passwd' points outside, to '/etc/passwd'" in ran.log.text()
    assert "'pipe' is neither" in ran.log.text()


def test_training_beyond_its_time_is_stopped(twin: Twin) -> None:
    begun = time.monotonic()
    ran = train(twin, "sleep", timeout_seconds=10)
    assert ran.code == "TEST-TRAIN-TIMEOUT"
    assert time.monotonic() - begun < 60


def test_training_that_does_nothing_is_stopped(twin: Twin, configure) -> None:
    configure(idle_timeout_seconds=3.0)
    assert train(twin, "sleep").code == "TEST-TRAIN-IDLE"


@pytest.mark.parametrize("mode", ["print", "line"])
def test_printing_for_ever_ends_at_the_time_limit_without_filling_memory(twin: Twin, mode: str) -> None:
    ran = train(twin, mode, timeout_seconds=10)
    assert ran.code == "TEST-TRAIN-TIMEOUT"
    if mode == "print":
        assert ran.log.count > 1000
    else:
        clipped = re.compile(r" … \[[0-9]{7,} more characters clipped\]$")
        assert any(clipped.search(text) for _, _, text in ran.log.lines)
    assert max(len(text) for _, _, text in ran.log.lines) <= 16 * 1024 + 60


def test_a_fork_bomb_meets_its_limit(twin: Twin) -> None:
    ran = train(twin, "fork")
    assert ran.code == "TEST-PROCESSES"
    assert ran.report.problem.params["limit"] == "64"


@detects(27, "TEST-MEMORY")
def test_running_out_of_memory_is_told_apart_from_a_crash(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.resources.profile.instance_sizes", lambda: {"ml.m5.large": (2.0, 0.25)})
    ran = train(twin, "memory")
    assert ran.code == "TEST-MEMORY"
    assert ran.report.facts["training"]["exit_code"] == 137
    assert "TEST-TRAIN-EXIT" not in ran.outcomes()
    assert ran.report.facts["peak_memory_bytes"] == 256 << 20


def test_out_of_memory_below_the_instance_types_size_is_not_the_sellers_fault(twin: Twin, configure) -> None:
    configure(test_memory_mb=256)
    assert train(twin, "memory").code == "TEST-HOST-TOO-SMALL"


def test_a_smaller_host_share_is_said_and_resource_checks_are_skipped(twin: Twin, configure) -> None:
    configure(test_memory_mb=512, test_cpus=1.0)
    ran = train(twin, "links")
    assert ran.outcomes()["TEST-SIZE"] == "skip"
    assert ran.outcomes()["TEST-MEMORY"] == "skip"
    assert ran.report.facts["profile"]["clamped"] == ["1 of 2 vCPU", "0.5 of 8 GiB"]
    assert [item.text for item in ran.check("TEST-SIZE").evidence] == ["run at 1 of 2 vCPU", "run at 0.5 of 8 GiB"]


@pytest.mark.parametrize("mode", ["disk", "layer", "files"])
def test_filling_the_disk_is_stopped(twin: Twin, mode: str) -> None:
    ran = train(twin, mode)
    assert ran.code == "TEST-DISK", ran.log.text()


@detects(4, "TEST-NO-PROGRAM")
def test_an_image_without_the_program_cannot_be_started(twin: Twin) -> None:
    ran = twin.train("twin-empty", {})
    assert ran.code == "TEST-NO-PROGRAM"
    assert ran.report.problem.params["command"] == "train"


def test_a_cancel_ends_the_step_within_fifteen_seconds(twin: Twin) -> None:
    stop, seconds = Stop(), 8.0
    begun = time.monotonic()
    stop_after(seconds, stop, StopReason.CANCELLED)
    with pytest.raises(StepStopped):
        twin.train("twin-hostile", {"hyperparameters": {"mode": "sleep"}}, stop=stop)
    assert time.monotonic() - begun < seconds + 15


@detects(8, "TEST-SERVE-EXITED")
def test_a_server_that_exits_shows_its_last_words(twin: Twin) -> None:
    ran = twin.serve("twin-hostile", "exit")
    assert ran.code == "TEST-SERVE-EXITED"
    assert any("cannot find the model" in item.text for item in ran.report.problem.evidence)
    assert ran.report.facts["inference"]["exit_code"] == 4


@pytest.mark.parametrize(("mode", "answer"), [("silent", "connection refused"), ("unready", "status 503")])
@detects(8, "TEST-SERVE-PING")
def test_a_server_that_never_answers_ping_fails_at_the_limit(twin: Twin, mode: str, answer: str) -> None:
    ran = twin.serve("twin-hostile", mode)
    assert ran.code == "TEST-SERVE-PING"
    assert ran.report.problem.params["answer"] == answer


@detects(8, "TEST-SERVE-LOOPBACK")
def test_a_server_on_loopback_only_fails(twin: Twin) -> None:
    ran = twin.serve("twin-hostile", "loopback")
    assert ran.code == "TEST-SERVE-LOOPBACK"
    assert ran.report.problem.params["address"] == "127.0.0.1"


def test_a_wrong_answer_fails_its_sample_and_an_accepted_unknown_type_warns(twin: Twin) -> None:
    ran = twin.serve("twin-hostile", "wrong")
    assert ran.code == "TEST-REQUEST"
    assert ran.report.problem.params["name"] == "echo"
    assert ran.outcomes()["TEST-CONTENT-TYPE"] == "warn"
    assert ran.report.facts["inference"]["requests"][0]["matched"] is False


def test_a_server_that_dies_of_a_request_is_told_with_that_request(twin: Twin) -> None:
    ran = twin.serve("twin-hostile", "die")
    assert ran.code == "TEST-SERVE-EXITED"
    assert "TEST-REQUEST" not in ran.outcomes()
    assert ran.report.problem.evidence[0].text.startswith("POST /invocations of sample echo: connection closed")


def test_a_server_that_runs_out_of_memory_in_a_request_is_told_so_alone(twin: Twin, monkeypatch) -> None:
    monkeypatch.setattr("workers.sandbox.resources.profile.instance_sizes", lambda: {"ml.m5.large": (2.0, 0.25)})
    ran = twin.serve("twin-hostile", "memory")
    assert [code for code, outcome in ran.outcomes().items() if outcome == "fail"] == ["TEST-MEMORY"]
    assert ran.report.problem.evidence[0].text.startswith("POST /invocations of sample echo: connection closed")


def test_a_server_that_forks_without_end_in_a_request_is_told_so(twin: Twin) -> None:
    ran = twin.serve("twin-hostile", "fork")
    assert ran.code == "TEST-PROCESSES", ran.log.text()
    assert ran.report.problem.params["limit"] == "64"


def test_a_server_that_fills_the_disk_in_a_request_is_stopped_before_its_answer_is_due(twin: Twin, configure) -> None:
    configure(test_disk_mb=64)
    begun = time.monotonic()
    ran = twin.serve("twin-hostile", "disk")
    assert [code for code, outcome in ran.outcomes().items() if outcome == "fail"] == ["TEST-DISK"]
    assert time.monotonic() - begun < 50  # it would be waited for 60 s


@detects(26, "TEST-SERVE-STOP")
def test_a_server_deaf_to_sigterm_is_killed_with_a_warning(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.serving.run.STOP_SECONDS", 3.0)
    ran = twin.serve("twin-hostile", "deaf")
    assert ran.code == ""
    assert ran.outcomes()["TEST-SERVE-STOP"] == "warn"
    assert ran.report.facts["inference"]["exit_code"] == 137


def test_an_endless_answer_is_cut_off(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.serving.probing.INVOCATION_SECONDS", 4.0)
    ran = twin.serve("twin-hostile", "huge")
    assert ran.code == "TEST-REQUEST-TIME"
    assert "no answer in time" in ran.report.problem.params["reason"]


def unsafe_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("../../escape")
        archive.addfile(member)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "archive",
    [b"not an archive", unsafe_archive(), tar_of({"a": b"a"}, "w")],
    ids=["no archive", "path that escapes", "not gzipped"],
)
def test_a_model_archive_that_cannot_be_trusted_is_refused(twin: Twin, archive: bytes) -> None:
    assert twin.serve("twin-hostile", "echo", artifact=archive).code == "TEST-ARTIFACT"


def large_model() -> bytes:
    """More than the container itself may write, in bytes and in files."""
    return tar_of({"zeros": bytes(300 << 20), **{f"f/{number}": b"" for number in range(5100)}})


def test_a_model_is_input_however_little_the_container_may_write(twin: Twin) -> None:
    ran = twin.serve("twin-hostile", "echo", artifact=large_model())
    assert ran.code == "", ran.log.text()
    assert "5101 files, 314572800 bytes" in ran.log.text()


def test_a_model_past_what_aws_takes_is_refused(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.sandbox.serving.run.MAX_BYTES", 299 << 20)
    ran = twin.serve("twin-hostile", "echo", artifact=large_model())
    assert (ran.code, ran.report.problem.params["reason"]) == ("TEST-ARTIFACT", "more than 299 MiB")


def test_a_model_that_the_hosts_disk_has_no_room_for_is_the_operators(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.sandbox.sending.DISK_RESERVE_BYTES", 1 << 60)
    ran = twin.serve("twin-hostile", "echo", artifact=large_model())
    assert (ran.code, ran.report.problem.params["what"]) == ("TEST-HOST-ROOM", "the model")
    assert ran.report.problem.params["free_mb"] != "0"


def test_samples_are_input_however_little_the_container_may_write(twin: Twin) -> None:
    files = {f"samples/train/{number}.csv": b"1\n" for number in range(5100)}
    ran = twin.train("twin-good", {"channels": {"train": {"path": "samples/train"}}}, files=files)
    assert ran.code == "", ran.log.text()


def test_a_sample_that_is_not_in_the_source_is_named(twin: Twin) -> None:
    ran = twin.serve("twin-hostile", "echo", files={"other.csv": b"1"})
    assert ran.code == "TEST-SAMPLE-MISSING"
    assert ran.report.problem.params["path"] == "samples/train.csv"


def test_a_holder_lost_in_mid_run_is_not_the_sellers_fault_and_leaves_nothing(twin: Twin) -> None:
    def kill_holder() -> None:
        while True:
            found = [item for item in twin.engine.owned(twin.instance) if item.kind == "container"]
            if len(found) == 2:
                holder = next(item for item in found if item.labels["slipway.role"] == "holder")
                twin.engine.kill_container(holder.id)
                return
            time.sleep(0.2)

    killer = threading.Thread(target=kill_holder)
    killer.start()
    ran = train(twin, "sleep")
    killer.join(10)
    assert ran.code == "TEST-HOLDER"
