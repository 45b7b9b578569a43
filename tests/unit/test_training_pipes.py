"""The holder's pipes, on this machine's own file system: epochs, readers that stop, and containers that tamper."""

from __future__ import annotations

import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from workers.sandbox.holder.contents import contents
from workers.sandbox.holder.pipes import Pipes

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def source(tmp_path: Path, files: dict[str, bytes], name: str = "source") -> str:
    folder = tmp_path / name
    folder.mkdir()
    for file, content in files.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(content)
    return str(folder)


def open_handles() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def eventually(found: Any, expected: Any) -> None:
    end = time.monotonic() + 10
    while (value := found()) != expected:
        assert time.monotonic() < end, value
        time.sleep(0.01)


def test_epochs_appear_one_after_the_other_with_all_files_in_order(tmp_path: Path, target: Path) -> None:
    pipes = Pipes()
    pipes.start(str(target), {"train": source(tmp_path, {"b.csv": b"2\n", "a.csv": b"1\n", "c/d.csv": b"3\n"})})
    assert [path.name for path in target.iterdir()] == ["train_0"]
    assert stat.S_ISFIFO((target / "train_0").stat().st_mode)
    for epoch in range(3):
        assert (target / f"train_{epoch}").read_bytes() == b"1\n2\n3\n"
    eventually(lambda: sorted(path.name for path in target.iterdir()), ["train_3"])
    assert pipes.as_json()["channels"]["train"] == {"opened": 3, "complete": 3, "bytes": 18, "error": ""}


def test_channels_are_independent_and_an_empty_one_ends_at_once(tmp_path: Path, target: Path) -> None:
    pipes = Pipes()
    big = bytes(1 << 20)
    sources = {"train": source(tmp_path, {"big": big}), "validation": source(tmp_path, {}, "nothing")}
    pipes.start(str(target), sources)
    with (target / "train_0").open("rb") as train:
        assert train.read(10) == big[:10]
        assert (target / "validation_0").read_bytes() == b""
        assert len(train.read()) == len(big) - 10


def test_a_reader_that_closes_early_gets_the_next_epoch_from_its_start(tmp_path: Path, target: Path) -> None:
    pipes = Pipes()
    pipes.start(str(target), {"train": source(tmp_path, {"a": b"start" + bytes(1 << 20)})})
    with (target / "train_0").open("rb") as pipe:
        assert pipe.read(5) == b"start"
    with (target / "train_1").open("rb") as pipe:
        assert pipe.read(5) == b"start"
    eventually(lambda: pipes.as_json()["channels"]["train"]["opened"], 2)
    assert pipes.as_json()["channels"]["train"]["complete"] == 0


def test_a_pipe_that_nobody_reads_makes_nobody_wait(tmp_path: Path, target: Path) -> None:
    pipes = Pipes()
    begun = time.monotonic()
    pipes.start(str(target), {"train": source(tmp_path, {"a": b"1"})})
    assert pipes.as_json()["channels"]["train"]["opened"] == 0
    assert time.monotonic() - begun < 10  # it would wait for ever


def test_a_file_or_a_link_in_a_pipes_place_is_never_written_to(tmp_path: Path, target: Path) -> None:
    pipes = Pipes()
    pipes.start(str(target), {"train": source(tmp_path, {"a": b"secret"}), "other": source(tmp_path, {"a": b"x"}, "o")})
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    (target / "train_0").unlink()
    (target / "train_0").symlink_to(victim)
    (target / "other_1").write_bytes(b"")  # where the next epoch's pipe would be
    assert (target / "other_0").read_bytes() == b""
    eventually(lambda: "FileExistsError" in pipes.as_json()["channels"]["other"]["error"], True)
    time.sleep(0.1)
    assert victim.read_bytes() == b""
    assert (target / "other_1").read_bytes() == b""


def test_a_directory_that_is_a_link_is_refused(tmp_path: Path, target: Path) -> None:
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(OSError, match="link"):
        Pipes().start(str(tmp_path / "link"), {"train": source(tmp_path, {})})


def test_a_hundred_epochs_leave_no_threads_or_handles_behind(tmp_path: Path, target: Path) -> None:
    pipes = Pipes()
    pipes.start(str(target), {"train": source(tmp_path, {"a": b"1"})})
    threads, handles = threading.active_count(), open_handles()
    for epoch in range(100):
        eventually(lambda epoch=epoch: (target / f"train_{epoch}").exists(), True)
        assert (target / f"train_{epoch}").read_bytes() == b"1"
    eventually(lambda: open_handles() <= handles + 2, True)
    assert threading.active_count() <= threads


def test_contents_lists_files_and_stops_at_the_limit(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}").write_bytes(bytes(number))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("/etc/passwd")
    found = contents(str(tmp_path), 1000, 3)
    assert (found["files"], found["bytes"]) == (21, sum(range(20)) + 5)
    assert found["listing"] == [["00", 0], ["01", 1], ["02", 2]]
    assert contents(str(tmp_path), 5, 3)["files"] <= 6
    assert contents(str(tmp_path / "link"), 1000, 3)["files"] == 0
