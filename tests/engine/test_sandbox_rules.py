"""The twin's own rules, without an engine: comparing answers, archives, metrics, questions of DNS, packets."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pytest

from listings.problems import ProblemError
from listings.reports import CheckOutcome, ProblemReport
from tests.engine.twin_fixtures import tar_of
from workers.sandbox import outgoing
from workers.sandbox.holder.dns import Resolver, parse_question
from workers.sandbox.holder.observe import measure
from workers.sandbox.holder.recorder import MAX_RECORDS, Recorder
from workers.sandbox.holder_client import Answer
from workers.sandbox.model_files import Contents, Limits, collect, unpacked
from workers.sandbox.network import Network
from workers.sandbox.phase import Outcome
from workers.sandbox.plan import broke
from workers.sandbox.serving import execution
from workers.sandbox.serving.compare import difference
from workers.sandbox.training import metrics

LIMITS = Limits(bytes=1 << 20, entries=100)


@pytest.mark.parametrize(
    ("expected", "actual", "tolerance"),
    [
        (b"1.0,2.0\n", b"1.0,2.0\n", 0),
        (b"1.0,2.0\n", b"1.0,2.0", 0),
        (b"1.0,2.0\n3\n", b"1.0001, 2.0\r\n3\n", 0.001),
        (b'{"a": [1, 2.5], "b": "x"}', b'{"b":"x","a":[1.0,2.5]}', 0),
        (b'{"a": 1.0}', b'{"a": 1.01}', 0.02),
        (b"\x00\xff", b"\x00\xff", 0),
    ],
)
def test_equal_answers(expected: bytes, actual: bytes, tolerance: float) -> None:
    assert difference(expected, actual, tolerance) == ""


@pytest.mark.parametrize(
    ("expected", "actual", "tolerance", "words"),
    [
        (b"1.0\n2.0\n", b"1.0\n2.1\n", 0.01, "line 2"),
        (b"1\n2\n", b"1\n", 0, "1 lines, 2 expected"),
        (b"yes", b"no", 5, "'no', 'yes' expected"),
        (b'{"a": 1}', b'{"a": true}', 1, "$.a is True, 1 expected"),
        (b'{"a": 1}', b'{"b": 1}', 0, "$.a is missing"),
        (b"[1, 2]", b"[1]", 0, "$ has 1 items"),
        (b"\x00\xff", b"\x00\xfe\x01", 0, "expected"),
        (b"1", b"[" * 100_000, 0, "expected"),
    ],
)
def test_different_answers_say_where(expected: bytes, actual: bytes, tolerance: float, words: str) -> None:
    assert words in difference(expected, actual, tolerance)


def archive_of(*members: tarfile.TarInfo) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    buffer.seek(0)
    return buffer


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size, found.mode, found.uid = kind, link, size, 0o4777, 1000
    return found


def unpack(source: IO[bytes], target: IO[bytes], limits: Limits) -> Contents:
    contents = Contents()
    target.writelines(unpacked(source, limits, contents))
    return contents


@pytest.mark.parametrize(
    "members",
    [
        [member("/etc/passwd")],
        [member("a/../../b")],
        [member("link", tarfile.SYMTYPE, "/etc")],
        [member("d/link", tarfile.SYMTYPE, "../../etc")],
        [member("here", tarfile.SYMTYPE, "."), member("here/file")],
        [member("p/q", tarfile.SYMTYPE, ".."), member("p/q/r", tarfile.SYMTYPE, "../etc")],
        [member("hard", tarfile.LNKTYPE, "/etc/shadow")],
        [member("hard", tarfile.LNKTYPE, "absent")],
        [member("pipe", tarfile.FIFOTYPE)],
        [member("device", tarfile.CHRTYPE)],
        [member("big", size=2 << 20)],
        [member(f"file{number}") for number in range(101)],
    ],
)
def test_an_unsafe_model_archive_is_refused(members: list[tarfile.TarInfo]) -> None:
    with pytest.raises(ProblemError) as raised:
        unpack(archive_of(*members), io.BytesIO(), LIMITS)
    assert raised.value.code == "TEST-ARTIFACT"


def test_a_cut_archive_is_refused() -> None:
    whole = archive_of(member("file", size=100_000)).getvalue()
    with pytest.raises(ProblemError) as raised:
        unpack(io.BytesIO(whole[: len(whole) // 2]), io.BytesIO(), LIMITS)
    assert raised.value.code == "TEST-ARTIFACT"


def test_unpacked_files_are_roots_without_special_bits() -> None:
    target = io.BytesIO()
    contents = unpack(archive_of(member("./d/file", size=3), member("link", tarfile.SYMTYPE, "d/file")), target, LIMITS)
    assert (contents.files, contents.bytes) == (1, 3)
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        found = {item.name: item for item in archive}
    assert sorted(found) == ["d/file", "link"]
    assert (found["d/file"].uid, found["d/file"].mode) == (0, 0o777)
    assert found["link"].linkname == "d/file"


def test_the_same_model_packs_to_the_same_bytes() -> None:
    plain = tar_of({"model/a.bin": b"weights", "model/sub/b.bin": b"more"}, "w")
    first, second = io.BytesIO(), io.BytesIO()
    collect([plain], first, LIMITS)
    collect([plain[:700], plain[700:]], second, LIMITS)
    assert first.getvalue() == second.getvalue()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(first.getvalue()))) as archive:
        assert archive.getnames() == ["a.bin", "sub/b.bin"]


def test_a_model_beyond_the_budget_is_a_full_disk() -> None:
    with pytest.raises(ProblemError) as raised:
        collect([tar_of({"model/big": bytes(2 << 20)}, "w")], io.BytesIO(), LIMITS)
    assert raised.value.code == "TEST-DISK"


def test_metrics_are_read_in_the_logs_order_and_words_are_no_numbers() -> None:
    lines = ["loss=0.5", "nothing", "loss=nan-ish", "loss=0.25; acc: 9e-1", "loss=1"]
    found = metrics.extract([("loss", r"loss=([0-9.a-z-]+)"), ("acc", r"acc: (\S+)"), ("none", "x(1)")], lines)
    values = {name: reading.values for name, reading in found.items()}
    assert values == {"loss": [0.5, 0.25, 1.0], "acc": [0.9], "none": []}


def test_an_expression_that_never_ends_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "TIMEOUT_SECONDS", 3.0)
    with pytest.raises(metrics.MetricsTimeout, match="slow"):
        metrics.extract([("fine", "a(1)"), ("slow", r"(a+)+$")], ["a" * 60 + "!"])


def question(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\0" + struct.pack("!HH", kind, 1)


def test_the_resolver_knows_no_name_and_records_each() -> None:
    recorder = Recorder()
    reply = Resolver(recorder, {"algo-1": "127.0.0.1"}).answer(question("Api.Example.COM", 28), "8.8.8.8")
    assert reply is not None
    assert (reply[:2], reply[3] & 15) == (b"\xab\xcd", 3)
    (record,) = recorder.as_json()["attempts"]
    assert (record["host"], record["address"], record["hints"]) == ("api.example.com", "8.8.8.8", ["AAAA"])


def test_the_containers_own_name_is_answered_and_not_a_call() -> None:
    recorder = Recorder()
    reply = Resolver(recorder, {"algo-1": "127.0.0.1"}).answer(question("algo-1"), "127.0.0.1")
    assert reply is not None
    assert reply.endswith(bytes([127, 0, 0, 1]))
    assert recorder.as_json()["attempts"] == []


@pytest.mark.parametrize("query", [b"", b"\0" * 12, question("a.b")[:-3], b"\0" * 12 + b"\xc0\x0c\0\1\0\1"])
def test_a_malformed_question_is_recorded_and_never_answered(query: bytes) -> None:
    recorder = Recorder()
    assert Resolver(recorder, {}).answer(query, "1.1.1.1") is None
    assert recorder.as_json()["attempts"][0]["hints"] == ["a malformed query"]
    with pytest.raises(ValueError):
        parse_question(query)


def test_odd_packets_never_stop_the_recorder() -> None:
    recorder = Recorder()
    for packet in (b"", b"\x45", b"\x60" + bytes(20), b"\x4f" + bytes(19) + b"\xff", bytes(40)):
        recorder.packet(packet)
    assert all(record["protocol"] in ("malformed", "ip0") for record in recorder.as_json()["attempts"])


def test_the_account_is_bounded() -> None:
    recorder = Recorder()
    for port in range(MAX_RECORDS + 7):
        recorder.add("tcp", "192.0.2.1", port)
    assert (len(recorder.as_json()["attempts"]), recorder.overflow) == (MAX_RECORDS, 7)


class NoLines:
    def nearest_line(self, seconds: float) -> int | None:
        return 3 if seconds < 5 else None


def call(**values: object) -> dict[str, object]:
    base = {"protocol": "tcp", "host": "", "address": "192.0.2.1", "port": 443, "count": 2, "first_seconds": 1.5,
            "last_seconds": 2.0, "hints": []}  # fmt: skip
    return base | values


def test_no_call_passes_a_call_warns_and_a_call_in_a_broken_run_fails() -> None:
    calls = outgoing.describe(
        "serve", Network.REFUSE, [call(), call(protocol="dns", host="a.example", port=53)], NoLines()
    )
    assert outgoing.check([], broken=True).outcome is CheckOutcome.PASS
    warned = outgoing.check(calls)
    assert warned.outcome is CheckOutcome.WARN
    assert warned.params == {"count": "4", "places": "192.0.2.1:443, a.example"}
    assert warned.evidence[0].text == "serve: tcp to 192.0.2.1:443, 2 times, first after 1.5 s"
    assert warned.evidence[0].log_line == 3
    assert outgoing.check(calls, broken=True).outcome is CheckOutcome.FAIL


def test_calls_that_could_not_be_told_apart_never_pass() -> None:
    assert outgoing.check([], lost=5).outcome is CheckOutcome.WARN
    unseen = outgoing.check([], unseen=5)
    assert unseen.outcome is CheckOutcome.WARN
    assert unseen.params["count"] == "at least 0"


def test_a_run_that_broke_while_its_calls_were_dropped_hung_on_them() -> None:
    for code in ("TEST-SERVE-PING", "TEST-PIPELINE-START", "TEST-BATCH-START", "TEST-TRAIN-TIMEOUT"):
        assert broke(Outcome("serve", Network.DROP, problem=ProblemReport(code)))
    assert broke(Outcome("serve", Network.DROP, problem=ProblemReport("TEST-DISK"))) == ""


def test_execution_parameters_beyond_all_sense_are_a_fault_and_no_crash() -> None:
    large = "9" * 2501
    body = f'{{"MaxConcurrentTransforms": {large}, "MaxPayloadInMB": {large}}}'.encode()
    answer = Answer(status=200, body=body)
    faults = execution._faults(answer, execution.read(answer))
    assert [fault.partition(",")[0] for fault in faults] == [
        "MaxConcurrentTransforms is a very large number", "MaxPayloadInMB is a very large number",
    ]  # fmt: skip


def test_files_that_vanish_hide_none_of_their_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path.resolve()
    for number in range(4):
        (folder / f"{number}").write_bytes(bytes(8192))
    whole = measure(str(folder), 1 << 30, 100)
    real = os.scandir

    class Vanished:
        path, name = "gone", "gone"

        def stat(self, **_: object) -> os.stat_result:
            raise FileNotFoundError

    @contextmanager
    def scandir(path: str) -> Iterator[Any]:
        with real(path) as listing:
            yield chain([Vanished()], listing)

    monkeypatch.setattr("workers.sandbox.holder.observe.os.scandir", scandir)
    found = measure(str(folder), 1 << 30, 100)
    assert (found["bytes"], found["missed"]) == (whole["bytes"], False)
    assert found["bytes"] >= 4 * 8192


def test_a_path_that_is_too_long_to_look_at_is_told(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("d" * 250, dir_fd=here)
            below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    assert measure(str(tmp_path.resolve()), 1 << 30, 100)["too_deep"]
    subprocess.run(["rm", "-rf", str(tmp_path / ("d" * 250))], check=True)


def test_a_directory_that_is_gone_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: str) -> Any:
        raise FileNotFoundError(path)

    monkeypatch.setattr("workers.sandbox.holder.observe.os.scandir", scandir)
    assert measure(str(tmp_path.resolve()), 1 << 30, 100)["missed"]


def test_a_deep_model_costs_no_more_than_its_files() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "x"
        archive.addfile(link)
        for number in range(3000):
            archive.addfile(tarfile.TarInfo("d/" * 900 + str(number)), io.BytesIO())
    buffer.seek(0)
    begun = time.process_time()
    assert unpack(buffer, io.BytesIO(), Limits(1 << 30, 10_000)).files == 3000
    assert time.process_time() - begun < 20


@pytest.mark.parametrize("mtime", ["inf", "nan"])
def test_a_time_that_is_none_is_refused(mtime: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("m")
        member.pax_headers = {"mtime": mtime}
        archive.addfile(member, io.BytesIO())
    buffer.seek(0)
    with pytest.raises(ProblemError) as refused:
        unpack(buffer, io.BytesIO(), Limits(1 << 30, 10))
    assert refused.value.code == "TEST-ARTIFACT"
