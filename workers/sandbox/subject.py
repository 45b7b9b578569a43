"""The container under test: the seller's unmodified image inside a holder's namespace, metered while it runs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from docker.errors import APIError, ImageNotFound
from docker.models.containers import Container
from docker.types import Mount

from listings.problems import ProblemError
from listings.reports import CheckReport, Evidence
from workers import spans
from workers.engine import LABEL_ROLE, Engine
from workers.logs.lines import LineSplitter
from workers.sandbox.attach import STDOUT, Attachment
from workers.sandbox.holder_client import Holder
from workers.sandbox.resources.budget import DiskBudget
from workers.sandbox.resources.meter import Meter
from workers.sandbox.resources.profile import Profile
from workers.sandbox.resources.volumes import ImageVolume
from workers.sandbox.staged import StagedImage
from workers.steps.contract import Log, Stop

TICK_SECONDS = 0.25
#: A container's output mostly ends with it: so many quick looks (seconds apart) then tell sooner than a tick.
SOON_SECONDS, QUICK_LOOKS = 0.02, 10
CANCEL_GRACE_SECONDS = 5
#: How long the engine's word of a memory kill may be on its way, by exit code; what was killed itself is waited for,
#: and so is what ends with -9, its child's exit code in Python.
LATE_SECONDS, LATE_BY_CODE = 0.5, {0: 0.0, 143: 0.0, 137: 1.0, 247: 1.0}
MAX_KEPT_BYTES = 8 << 20
MAX_TIMED_LINES = 10_000
#: What a kept line costs besides its characters: a flood of empty ones is a flood, too.
LINE_COST = 64
MAX_MEMORY_KILLS = 20
#: The engine's words, at start, for an image that cannot be run as it is configured.
NOT_STARTABLE = ("exec", "starting container process", "error mounting", "unable to find user", "unable to find group")


@dataclass(frozen=True, slots=True)
class Exit:
    code: int
    out_of_memory: bool
    seconds: float
    error: str = ""


class OutputPump:
    """Copies a container's output to the attempt's log, line by line, from a thread of its own."""

    def __init__(self, attachment: Attachment, log: Log, ended: Callable[[], object]) -> None:
        """``ended`` is called, in the pump's thread, once there is no more output."""
        self._attachment, self._log, self._ended = attachment, log, ended
        self._first: list[tuple[float, int]] = []
        self._last: deque[tuple[float, int]] = deque(maxlen=MAX_TIMED_LINES)
        self._kept: deque[tuple[float, str]] = deque()
        self._kept_bytes = 0
        self.start = self.last_output = time.monotonic()
        #: From the last output to its end, in seconds since the epoch: nothing but the engine was waited for.
        self.quiet = (0.0, 0.0)
        self.lines = 0
        self._thread = threading.Thread(target=self._run, name="output-pump", daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait until the container's last line is in the log."""
        self._thread.join(timeout)

    def kept(self) -> list[str]:
        """The last lines, up to 8 MB of them: what the metric expressions run over."""
        return [text for _, text in list(self._kept)]

    def kept_seconds(self) -> list[float]:
        """When each of the ``kept`` lines was written, in seconds since the start."""
        return [seconds for seconds, _ in list(self._kept)]

    def nearest_line(self, seconds: float) -> int | None:
        """The log line written closest to ``seconds`` after the start; None where there is none within 5 s."""
        timed = [*self._first, *self._last]
        if not timed:
            return None
        when, number = min(timed, key=lambda line: abs(line[0] - seconds))
        return number if abs(when - seconds) <= 5 else None

    def _run(self) -> None:
        splitters = {STDOUT: LineSplitter()}
        quiet_since = time.time()
        for stream, data in self._attachment.frames():
            self.last_output = time.monotonic()
            for text, lost in splitters.setdefault(stream, LineSplitter()).feed(data):
                self._line(text, stream, lost)
            quiet_since = time.time()
        self.quiet = quiet_since, time.time()
        for stream, splitter in splitters.items():
            for text, lost in splitter.finish():
                self._line(text, stream, lost)
        self._ended()

    def _line(self, text: str, stream: int, lost: int) -> None:
        number = self._log.line(text, "out" if stream == STDOUT else "err", lost)
        self.lines += 1
        seconds = time.monotonic() - self.start
        timed = (seconds, number)
        if len(self._first) < MAX_TIMED_LINES:
            self._first.append(timed)
        else:
            self._last.append(timed)
        self._kept.append((seconds, text))
        self._kept_bytes += len(text) + LINE_COST
        while self._kept_bytes > MAX_KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft()[1]) + LINE_COST


def _finished_at(state: Mapping[str, Any]) -> float:
    """When the container ended, in seconds since the epoch: the engine's word, as we look only now and then."""
    try:
        return min(time.time(), datetime.fromisoformat(str(state.get("FinishedAt"))).timestamp())
    except ValueError:
        return time.time()


class Subject:
    """One run of the image under test. Use ``start``, then ``tick`` often, then ``close``."""

    def __init__(
        self, engine: Engine, holder: Holder, profile: Profile, log: Log, stop: Stop, path: str,
        volumes: tuple[ImageVolume, ...] = (),
    ) -> None:  # fmt: skip
        self.engine, self.holder, self.profile, self.log, self.stop = engine, holder, profile, log, stop
        self._volumes = volumes
        self.created = False
        self.out_of_memory = False
        #: When the kernel killed one of its processes for memory, in seconds since the start; the first few.
        self.memory_kills: list[float] = []
        #: Whether it matters that an exit other than by SIGKILL comes from a memory kill.
        self.explains_exits = True
        self.meter: Meter | None = None
        #: What the memory check said of this container, once it was judged.
        self.memory_check: CheckReport | None = None
        self._budget = DiskBudget(engine, holder, profile, stop, [path, *(volume.seen for volume in volumes)])
        # Set when the output has ended, or the step is told to stop.
        self._news = threading.Event()
        self._quick_looks = QUICK_LOOKS
        self.started = self._lived = 0.0
        stop.on_stop(self._news.set)

    def create(
        self, image: StagedImage, command: str, labels: Mapping[str, str], mounts: list[Mount], env: Mapping[str, str]
    ) -> None:
        """``mounts``: the test's own volume first. Raises ProblemError TEST-NO-PROGRAM."""
        options: dict[str, Any] = {
            "command": [command],
            "labels": {**labels, LABEL_ROLE: "subject"},
            "network_mode": self.holder.network_mode,
            "mounts": [*mounts, *(volume.for_subject() for volume in self._volumes)],
            "environment": dict(env),
            # SageMaker runs no HEALTHCHECK; here its processes would count as the container's.
            "healthcheck": {"test": ["NONE"]},
            **self.profile.container_options(),
        }
        try:
            self.container: Container = self.engine.create_container(image.name, **options)
        except ImageNotFound:
            # Another test of the same digest has just ended, or an operator has pruned the engine.
            image.pull()
            self.container = self.engine.create_container(image.name, **options)
        except APIError as error:
            if error.status_code != 400:
                raise
            # Such as a VOLUME that no container can have.
            detail = Evidence(str(error.explanation or error))
            raise ProblemError("TEST-NO-PROGRAM", evidence=(detail,), command=command) from error
        self.id = str(self.container.id)
        self.created = True
        self._budget.begin(self.id, first_is_read_only=bool(mounts[0].get("ReadOnly")))
        self._attachment = Attachment(self.engine, self.id)
        self.pump = OutputPump(self._attachment, self.log, self._news.set)

    def start(self, command: str) -> None:
        """Raises ProblemError TEST-NO-PROGRAM where the engine cannot execute ``command``, TEST-HOLDER."""
        if not self.holder.clock_started:  # the containers of a pipeline share one account of their calls
            self.holder.call("restart_clock", self.stop)
            self.holder.clock_started = True
        self.started = self.pump.start = time.monotonic()
        self._started_at = time.time()
        try:
            self.container.start()
        except APIError as error:
            detail = str(error.explanation or error)
            if self.holder.has_ended():
                raise ProblemError("TEST-HOLDER", reason="it ended", evidence=(Evidence(detail),)) from error
            if error.status_code in (400, 404, 500) and any(words in detail for words in NOT_STARTABLE):
                raise ProblemError("TEST-NO-PROGRAM", evidence=(Evidence(detail),), command=command) from error
            raise
        self.meter = Meter(self.engine, self.id, self.started)
        self.holder.watchers.append(self._watch)

    @property
    def peak_memory(self) -> int:
        """Bytes without the file cache; 0 where it ended before the first reading. What ran out of memory had all."""
        if self.out_of_memory:
            return self.profile.memory_bytes
        return self.meter.peak_memory if self.meter else 0

    @property
    def cpu_seconds(self) -> float:
        """What it has computed since its start, up to the last reading; 0 where there was none."""
        return self.meter.cpu_seconds if self.meter else 0.0

    def series(self) -> dict[str, list[float]]:
        """What it used over time."""
        return self.meter.series.as_json() if self.meter else {}

    @property
    def most_processes(self) -> int:
        if self.meter is None:
            return 0
        # Readings may miss the moment in which the limit was reached; that a fork was refused is counted by the kernel.
        return self.profile.pids if self.meter.refused_forks else self.meter.most_processes

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self.started, 3)

    @property
    def lived(self) -> float:
        """Seconds from its start to its end; to now where it runs; 0 where it never started."""
        return self._lived or (self.seconds if self.started else 0.0)

    def idle_seconds(self) -> float:
        """For how long it has neither printed nor computed."""
        active_at = self.meter.active_at if self.meter else self.started
        return time.monotonic() - max(active_at, self.pump.last_output)

    def tick(self, seconds: float = TICK_SECONDS) -> Exit | None:
        """Sleep a moment, read the meters, enforce the disk budget. The exit once the container has ended.

        Raises StepStopped, ProblemError TEST-DISK (the container is killed first).
        """
        self._nap(seconds)
        state = self.engine.api.inspect_container(self.id)["State"]
        if not state["Running"]:
            return self._ended(state)
        if self.meter is not None:
            self.meter.look(int(state["Pid"]))
        self._check_disk()
        return None

    def _nap(self, seconds: float) -> None:
        if not self._quick_looks:  # it runs on without an output
            self.stop.sleep(seconds)
        elif self._news.wait(seconds):
            if self._quick_looks < QUICK_LOOKS:
                self.stop.sleep(min(seconds, SOON_SECONDS))
            self._quick_looks -= 1
        self.stop.check()

    def _ended(self, state: Mapping[str, Any]) -> Exit:
        finished_at = _finished_at(state)
        spans.note("container", self._started_at, finished_at)
        self.pump.join(10)
        # The engine unmounts and cleans up before it tells anybody of the end.
        quiet_since, told_at = self.pump.quiet
        spans.note("engine", max(finished_at, quiet_since), told_at)
        self._check_disk()
        code = int(state["ExitCode"])
        self._lived = self._lived or self.seconds
        late = LATE_SECONDS if self.explains_exits else 0.0
        self.look_for_memory_kills(LATE_BY_CODE.get(code, late))
        self.out_of_memory = self.out_of_memory or bool(state.get("OOMKilled"))
        return Exit(code, self.out_of_memory, self.seconds, str(state.get("Error", "")))

    def look_for_memory_kills(self, late: float = 0.0) -> None:
        """Whether the kernel killed any of its processes for memory, also where the main process lived on.

        ``late``: seconds to wait for events that are on their way.
        """
        until = f"{time.time() + late:.6f}"
        wanted = {"container": self.id, "event": "oom"}
        with spans.span("engine"):
            events = self.engine.api.events(since=int(self._started_at) - 5, until=until, filters=wanted, decode=True)
            times = [event["timeNano"] / 1e9 - self._started_at for event in events]
        self.memory_kills = [max(0.0, seconds) for seconds in times[:MAX_MEMORY_KILLS]]
        counted = self.meter.memory_kills if self.meter else 0
        self.out_of_memory = self.out_of_memory or bool(times) or counted > 0

    def _watch(self) -> None:
        """Read the meters and enforce the disk budget while an answer is waited for. Raises ProblemError TEST-DISK."""
        if self.meter is not None:
            self.meter.look()
        self._check_disk()

    def _check_disk(self) -> None:
        reason = self._budget.exceeded()
        if self.meter is not None:
            self.meter.series.note_disk(self._budget.used)
        if reason:
            self.engine.kill_container(self.id)
            raise ProblemError("TEST-DISK", reason=reason, evidence=self.last_lines(5))

    def last_lines(self, count: int = 12) -> tuple[Evidence, ...]:
        """The container's last output as evidence, each line linked to the log."""
        return tuple(Evidence(text, label="log", log_line=number) for number, text in self.log.tail(count))

    def terminate(self, grace_seconds: float) -> tuple[float, Exit]:
        """SIGTERM, the grace, SIGKILL. (seconds it took, 0 where it had ended before; its exit). Raises StepStopped."""
        begun = time.monotonic()
        try:
            self.engine.api.kill(self.id, signal="SIGTERM")
        except APIError as error:
            if error.status_code != 409:  # 409: it is not running
                raise
            return 0.0, self._last()
        while time.monotonic() - begun < grace_seconds:
            ended = self.tick()
            if ended is not None:
                return round(time.monotonic() - begun, 2), ended
        self.engine.kill_container(self.id)
        ended = self._last()
        return round(time.monotonic() - begun, 2), ended

    def _last(self) -> Exit:
        """The exit of what is ending now. Raises StepStopped."""
        while (ended := self.tick()) is None:
            pass
        return ended

    def close(self) -> None:
        """Stop and remove it, whatever its state; the cancel's grace is five seconds."""
        self.stop.forget(self._news.set)
        if self._watch in self.holder.watchers:
            self.holder.watchers.remove(self._watch)
        if not self.created:
            return
        self.engine.stop_container(self.id, CANCEL_GRACE_SECONDS)
        self.engine.remove_container(self.id)
        self.pump.join(10)
        self._attachment.close()
