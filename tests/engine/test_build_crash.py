"""A worker that is killed while it builds: the engine ends the build, and the reaper's call leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.build_fixtures import BASE, source_archive
from workers.building import remove_build_leftovers
from workers.engine import Engine

WORKER = """
import sys, threading
import django
django.setup()
from pathlib import Path
from tests.engine.context import MemoryLog
from workers.building import builder, dockerfile, room
from workers.engine import attempt_labels, connect
from workers.steps.contract import Stop

class Out(MemoryLog):
    def line(self, text, stream="out", lost=0):
        print(text, flush=True)
        return super().line(text, stream, lost)

instance, context, base = sys.argv[1:]
engine = connect()
place = room.open_room(engine, room.RoomOptions(base, 128, 0.5, 64), attempt_labels(instance, "test-host", "dead"))
parsed = dockerfile.parse(b"FROM x")
builder.build(engine, place, builder.BuildRequest(Path(context), "Dockerfile", 1000), parsed, Out(), Stop())
"""


@pytest.mark.parametrize("script", ["echo begun; sleep 300", "echo begun; while :; do :; done"])
def test_a_killed_workers_build_ends_by_itself_and_its_room_is_reaped(
    engine: Engine, instance: str, tmp_path: Path, script: str
) -> None:
    context = tmp_path / "context.tar.gz"
    context.write_bytes(source_archive({"Dockerfile": f"FROM {BASE}\nRUN {script}\nRUN echo never\n"}))
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, instance, str(context), BASE],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "DJANGO_SETTINGS_MODULE": "portal.settings"},
    )
    assert worker.stdout is not None
    with worker.stdout:
        assert any(line.strip() == "begun" for line in worker.stdout)
        assert len(engine.owned(instance)) == 2  # the room, and the build's container in it
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    deadline = time.monotonic() + 15
    while len(engine.owned(instance)) > 1 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(engine.owned(instance)) == 1
    assert remove_build_leftovers(engine, instance, "test-host") == 1
    assert engine.owned(instance) == []
