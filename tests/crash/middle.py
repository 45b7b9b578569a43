"""Catching a step in its middle: the process that runs it is stopped there, and then something is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from listings.models import Attempt, Instance
from tests.stack import Stack, children_of, is_alive, wait_until
from workers.engine import Engine

#: What an attempt's log holds once its step is under way.
LOGGED = {
    "fetch": '"section","Source"',
    "build": "sleep",
    "inspect": "Reading layer",
    "scan": "Reading layer",
    "test": "testing sha256:",
    "push": "Copying blob",
    "register": '"section","Creating ',
    "publish": '"section","Publishing on ',
}
#: How long the process runs between two looks.
SLICE_SECONDS = 0.008
#: What a worker's log says then.
REDIS_GONE = re.compile("Connection to broker lost|Cannot connect to redis|waits for Redis")
#: How many containers an attempt has in the engine then: the room or the holder, and what runs in it.
CONTAINERS = {"build": 2, "test": 2}


@dataclass
class Catcher:
    """Stops the only pool process of a worker as soon as it is inside the step that is waited for."""

    stack: Stack
    engine: Engine
    seen: set[UUID] = field(default_factory=set)

    def stop_in(
        self, steps: Sequence[str], worker: subprocess.Popen[bytes], also: Callable[[], bool] = lambda: True,
        seconds: float = 60,
    ) -> tuple[Attempt, int]:  # fmt: skip
        """The attempt and the stopped process, which holds its lease, at whichever of ``steps`` comes first. ``also``
        must be true by then, too."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            child = self.hold(worker)
            if "scan" in steps:
                self._forget_layers()
            attempt_id = next(filter(None, map(self._under_way, steps)), None)
            if attempt_id is not None and also():
                self.seen.add(attempt_id)
                attempt = Attempt.objects.get(pk=attempt_id)
                assert attempt.lease is not None, f"{attempt} had let go before it was caught"
                assert attempt.worker == f"{self.stack.host}:{child}"
                return attempt, child
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)
            time.sleep(SLICE_SECONDS)
        wanted, log = " or ".join(steps), self.stack.log("engine")[-3000:]
        return pytest.fail(f"{wanted} was not under way within {seconds} s:\n{log}")

    def hold(self, worker: subprocess.Popen[bytes]) -> int:
        """Stop the worker's pool process. Whatever is looked at then stays so until it goes on."""
        while True:
            child = self._child(worker)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGSTOP)
                return child

    def let_go(self, worker: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._child(worker), signal.SIGCONT)

    def _child(self, worker: subprocess.Popen[bytes]) -> int:
        """A pool process that was killed is soon replaced by its parent."""
        found = wait_until(
            "the worker has its pool", lambda: [*filter(is_alive, children_of(worker.pid))], 30, every=0.01
        )
        return int(found[0])

    def _under_way(self, step: str) -> UUID | None:
        for attempt_id, header, text in self._logs():
            if attempt_id in self.seen or header.get("step") != step or LOGGED[step] not in text:
                continue
            if self._containers(attempt_id) >= CONTAINERS.get(step, 0):
                return attempt_id
        return None

    def _logs(self) -> Iterator[tuple[UUID, dict[str, object], str]]:
        for path in self.stack.data_dir.glob(f"spool/{self.stack.host}/*/head.jsonl"):
            # A finished attempt's spool goes at any time, and the first line may be half written.
            with suppress(FileNotFoundError, ValueError):
                first, _, rest = path.read_text().partition("\n")
                yield UUID(path.parent.name), json.loads(first), rest

    def _containers(self, attempt: UUID) -> int:
        owned = self.engine.owned(str(Instance.current_id()), attempt=attempt)
        return sum(thing.kind == "container" for thing in owned)

    def _forget_layers(self) -> None:
        """As on a worker host that has not inspected this image: the layers are read again."""
        for path in Path(self.stack.data_dir / "cache" / "layers").glob("*.json.gz"):
            path.unlink(missing_ok=True)


def strike(
    victim: str, stack: Stack, queue: str, worker: subprocess.Popen[bytes], child: int
) -> subprocess.Popen[bytes]:
    """Kill the victim while ``child`` stands still. Returns the worker that goes on: another one where this died."""
    if victim == "redis":
        before = len(REDIS_GONE.findall(stack.log(queue)))
        stack.redis.kill()
        os.kill(child, signal.SIGCONT)
        wait_until(
            "the worker finds Redis gone", lambda: len(REDIS_GONE.findall(stack.log(queue))) > before, 30, every=0.02
        )
        # The next step's hint must find it standing still.
        os.kill(child, signal.SIGSTOP)
        stack.redis.start()
        return worker
    helpers = children_of(child)
    if victim == "child":
        os.kill(child, signal.SIGKILL)
    elif victim == "parent":
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    else:
        stack.kill(worker)
    gone = [child, *helpers]
    wait_until("the pool and what it started die as well", lambda: not any(map(is_alive, gone)), 10, every=0.01)
    return worker if victim == "child" else stack.worker(queue, 1)
