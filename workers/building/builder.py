"""One build with the engine's classic builder, in a room, and the judgement of how it ended."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from docker.errors import APIError

from listings.problems import ProblemError
from listings.reports import Evidence
from workers import spans
from workers.building.dockerfile import Dockerfile
from workers.building.meter import Meter
from workers.building.room import Room
from workers.building.staging import ImageGone
from workers.building.stream import BuildOutput, Cut, guarded, messages
from workers.engine import NO_CREDENTIALS, Engine
from workers.steps.contract import Log, Stop

PLATFORM = "linux/amd64"
_TAIL = 12
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_LOST = re.compile(
    r"(unknown parent image ID|failed to get (digest|layer)|No such image:|unable to find image) [\"]?sha256:"
)
_FORK = re.compile(
    r"can'?t fork|cannot fork|fork: retry|fork failed|pthread_create failed|unable to create (?:new native )?thread|"
    r"can't start new thread|Resource temporarily unavailable",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """``context`` is an uncompressed or gzipped tar. ``disk_mb`` bounds what the build may write."""

    context: Path
    dockerfile: str
    disk_mb: int
    target: str | None = None
    args: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False


@dataclass(frozen=True, slots=True)
class Built:
    image_id: str
    steps: int
    cached: int
    peak_pids: int
    peak_memory: int


def build(engine: Engine, room: Room, request: BuildRequest, parsed: Dockerfile, log: Log, stop: Stop) -> Built:
    """Build one image.

    Raises StepStopped, ImageGone, or ProblemError with the code that says why it failed.
    """
    cut, output = Cut(), BuildOutput(log)
    meter = Meter(engine, room, output, cut, request.disk_mb)

    def work() -> None:
        with request.context.open("rb") as body:
            # The engine's builder reads a sent context whole before it answers.
            reader = _Stoppable(body, stop)
            headers = {"Content-Type": "application/x-tar", **NO_CREDENTIALS}
            with engine.stream("POST", "/build", _query(room, request), data=reader, headers=headers) as response:
                cut.watch(response)
                for message in messages(response, cut):
                    output.feed(message)
        output.finish()

    try:
        with meter, spans.span("engine"):
            guarded(stop, cut, work)
    except APIError as error:
        if lost_an_image(str(error.explanation or "")):
            raise ImageGone from error
        raise _refused(error, request) from error
    if meter.problem is not None:
        raise ProblemError(meter.problem.code, evidence=_evidence(output, parsed, log), **meter.problem.report.params)
    if output.error and output.exit_code is None and lost_an_image(output.error):
        raise ImageGone(output.error)
    if output.error or not output.image:
        raise _judge(output, meter, parsed, log, room)
    return Built(output.image, output.steps, output.cached, meter.peak_pids, meter.peak_memory)


def lost_an_image(message: str) -> bool:
    """Whether the engine's words are those for a cached step's image that another build, for which it was the last
    one, has just removed (Docker Engine 20.10: two builds that share steps)."""
    return _LOST.match(message) is not None


class _Stoppable:
    """A file whose reading ends when the step is told to stop; ``requests`` asks for its length."""

    def __init__(self, body: object, stop: Stop) -> None:
        self._body, self._stop = body, stop

    def __getattr__(self, name: str) -> object:
        return getattr(self._body, name)

    def __iter__(self) -> object:
        return iter(self._body)  # type: ignore[call-overload]

    def read(self, size: int = -1) -> bytes:
        self._stop.check()
        return self._body.read(size)  # type: ignore[attr-defined, no-any-return]


def _query(room: Room, request: BuildRequest) -> dict[str, str]:
    query = {
        "dockerfile": request.dockerfile,
        "platform": PLATFORM,
        "rm": "1",
        "forcerm": "1",
        "nocache": "1" if request.no_cache else "0",
        "buildargs": json.dumps(dict(request.args)),
        **{key: str(value) for key, value in room.build_parameters.items()},
    }
    return query | ({"target": request.target} if request.target else {})


def _refused(error: APIError, request: BuildRequest) -> ProblemError:
    """An answer before the first step: the Dockerfile is at fault, or the engine."""
    message = str(error.explanation or error)
    if request.target and re.search(r"target stage|build target", message, re.IGNORECASE):
        return ProblemError("BUILD-NO-TARGET", target=request.target)
    if re.search(r"dockerfile|unknown instruction|parse error|requires|build stage", message, re.IGNORECASE):
        return ProblemError("BUILD-DOCKERFILE-INVALID", message=message)
    return ProblemError("ENGINE-REFUSED", message=message)


def _judge(output: BuildOutput, meter: Meter, parsed: Dockerfile, log: Log, room: Room) -> ProblemError:
    message = output.error or "The engine ended the build without an image."
    evidence = _evidence(output, parsed, log)
    at = parsed.step(output.step)
    params = {"step": str(output.step), "line": str(at.line if at else "?"), "message": message}
    recent = "\n".join(text for _, text in log.tail(_TAIL))
    # The same words come from a full /dev/shm, which is the build's own.
    if (_FULL.search(message) or _FULL.search(recent)) and meter.is_disk_full():
        return ProblemError("BUILD-HOST-FULL", evidence=evidence, free_mb=meter.free_mb)
    if meter.was_out_of_memory():
        return ProblemError("BUILD-MEMORY", evidence=evidence, limit_mb=room.options.memory_mb, **params)
    if meter.hit_process_limit() and (_FORK.search(recent) or output.exit_code != 1):
        return ProblemError("BUILD-PROCESSES", evidence=evidence, limit=room.options.pids, **params)
    if output.exit_code is None and not output.error:
        return ProblemError("ENGINE-REFUSED", evidence=evidence, message=message)
    if "target stage" in message or "build target" in message:
        return ProblemError("BUILD-NO-TARGET", evidence=evidence, target=message.rpartition(" ")[2])
    if re.search(r"non.?running container|No such container", message):
        return ProblemError("BUILD-ROOM", evidence=evidence, message=message)
    return ProblemError("BUILD-FAILED", evidence=evidence, **params)


def _evidence(output: BuildOutput, parsed: Dockerfile, log: Log) -> tuple[Evidence, ...]:
    at = parsed.step(output.step)
    first = (at.evidence(),) if at else ()
    tail = [(number, text) for number, text in log.tail(_TAIL) if number >= output.step_line and text.strip()]
    return first + tuple(Evidence(text[:2000], "log", number) for number, text in tail)
