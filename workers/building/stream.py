"""What the engine says while it builds or pushes: JSON lines in, log lines and facts out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from requests import Response
from urllib3.exceptions import HTTPError

from workers.logs.lines import LineSplitter
from workers.steps.contract import Log, Stop

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)", re.DOTALL)
_IMAGE = re.compile(r" ---> ([0-9a-f]{12})$")
_RUNNING = re.compile(r" ---> Running in ([0-9a-f]{12})$")
_RED, _PLAIN = "\x1b[91m", "\x1b[0m"


class Cut:
    """Ends a streamed answer from another thread: the reader wakes, and closing the connection cancels the work."""

    def __init__(self) -> None:
        self._response: Response | None = None
        self.is_cut = False

    def watch(self, response: Response) -> None:
        self._response = response
        if self.is_cut:
            self()

    def __call__(self) -> None:
        self.is_cut = True
        if self._response is not None:
            with suppress(OSError, ValueError, HTTPError, AttributeError):
                self._response.raw.shutdown()


def messages(response: Response, cut: Cut) -> Iterator[dict[str, Any]]:
    """The answer's JSON lines, as they come, until it ends or is cut."""
    pending = b""
    try:
        for chunk in response.iter_content(chunk_size=None):
            if cut.is_cut:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines if line.strip())
    except (OSError, HTTPError):  # requests' own errors are OSErrors
        if not cut.is_cut:
            raise
    if pending.strip() and not cut.is_cut:
        with suppress(ValueError):  # an engine that dies ends in the middle of a line
            yield json.loads(pending)


class BuildOutput:
    """Writes a build's messages to the log and keeps what is needed to judge how it ended."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._out, self._err = LineSplitter(), LineSplitter()
        self._statuses: set[str] = set()
        self._titled = False
        self.step = 0
        self.step_text = ""
        self.steps = 0
        self.cached = 0
        self.step_line = 0
        self.container = ""
        self.images: list[str] = []
        self.image = ""
        self.error = ""
        self.exit_code: int | None = None

    def feed(self, message: dict[str, Any]) -> None:
        if "stream" in message:
            self._stream(str(message["stream"]))
        elif "aux" in message:
            self.image = str((message["aux"] or {}).get("ID", "")) or self.image
        elif "errorDetail" in message or "error" in message:
            detail = message.get("errorDetail") or {}
            self.error = str(detail.get("message") or message.get("error"))
            self.exit_code = detail.get("code")
        elif "status" in message:
            self._status(message)

    def finish(self) -> None:
        for name, splitter in (("out", self._out), ("err", self._err)):
            for line, lost in splitter.finish():
                self._line(line, name, lost)

    def _stream(self, text: str) -> None:
        if text.startswith(_RED):
            # The engine paints what a RUN writes to stderr red; the page has a stream of its own for it.
            body = text.removeprefix(_RED).removesuffix(_PLAIN)
            for line, lost in self._err.feed(body.encode()):
                self._line(line, "err", lost)
            return
        if text == "\n" and self._titled:
            self._titled = False  # the engine ends a step's title with a message of its own
            return
        started = _STEP.fullmatch(text)
        self._titled = started is not None
        if started:
            self.finish()
            self.step, self.steps = int(started[1]), int(started[2])
            self.step_text, self.container = started[3].strip(), ""
            self.step_line = self._log.section(f"Step {self.step}/{self.steps}: {self.step_text[:200]}")
            return
        for line, lost in self._out.feed(text.encode()):
            self._line(line, "out", lost)

    def _line(self, line: str, stream: str, lost: int) -> None:
        if stream == "out" and line.startswith(" ---> "):
            self._builder_line(line)
        else:
            self._log.line(line, stream, lost)

    def _builder_line(self, line: str) -> None:
        running, image = _RUNNING.match(line), _IMAGE.match(line)
        if running:
            self.container = running[1]
        elif image:
            self.images.append(image[1])
        elif line == " ---> Using cache":
            self.cached += 1
        self._log.line(line.strip(), "slipway")

    def _status(self, message: dict[str, Any]) -> None:
        """Pull and push progress: one line per layer and state, no bars."""
        text = f"{message['id']}: {message['status']}" if message.get("id") else str(message["status"])
        if text not in self._statuses:
            self._statuses.add(text)
            self._log.line(text, "slipway")


def guarded(stop: Stop, cut: Cut, work: Callable[[], None]) -> None:
    """Run ``work`` so that being told to stop cuts its stream. Raises StepStopped after a stop."""
    stop.check()
    stop.on_stop(cut)
    try:
        work()
    finally:
        stop.forget(cut)
    stop.check()
