"""Running git: watched for a stop, for the room it takes, and for what it says."""

from __future__ import annotations

import os
import re
import resource
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from listings.problems import ProblemError
from listings.reports import Evidence
from workers import spans
from workers.lifeline import die_with_parent
from workers.sources.members import CHUNK, readable
from workers.steps.contract import Stop

GRACE_SECONDS = 3.0
LOOK_SECONDS = 0.5
PROGRESS_SECONDS = 5.0
#: What git may answer on standard output: a list of 200,000 files has some 30 MiB.
MAX_ANSWER = 256 << 20
#: Address space of each process, in bytes. What a delta makes is built in memory: a pack of 20 kB can name gigabytes.
MEMORY = 2 << 30
#: So that git is content with it: parts of a pack instead of all of it, few threads, big files as streams.
_THRIFT = {
    "core.packedGitWindowSize": "32m", "core.packedGitLimit": "256m", "core.bigFileThreshold": "32m",
    "pack.threads": "2",
}  # fmt: skip
#: How git says that it got no more; a server says of itself what begins with "remote:".
_NO_MEMORY = re.compile(
    r"^(?!remote:).*(out of memory|cannot allocate memory|mmap failed|cannot be mapped|data too large to fit)", re.I
)
LAST_LINES = 12
_LINE_LENGTH = 2000


class GitFailed(Exception):
    """git ended with an error. ``lines`` are its last ones, without secrets."""

    def __init__(self, code: int, lines: tuple[str, ...]) -> None:
        super().__init__(f"git ended with {code}")
        self.code, self.lines = code, lines

    def says(self, *texts: str) -> bool:
        said = "\n".join(self.lines).lower()
        return any(text in said for text in texts)


@dataclass(slots=True)
class Git:
    """``room`` holds all that is fetched, at most ``limit`` bytes. ``say`` gets each line that git writes for the log,
    ``note`` each of ours; ``clean`` takes secrets out of a line."""

    environment: Mapping[str, str]
    room: Path
    limit: int
    stop: Stop
    say: Callable[[str], object]
    note: Callable[[str], object]
    clean: Callable[[str], str]

    def run(
        self, *arguments: str, cwd: Path | None = None, given: IO[bytes] | None = None, most: int = MAX_ANSWER
    ) -> bytes:
        """Standard output, of at most ``most`` bytes. ``given`` is a file for standard input.

        Raises GitFailed, StepStopped, ProblemError SOURCE-TOO-LARGE or GIT-PROGRAM-MISSING.
        """
        return self.run_program(("git",), *arguments, cwd=cwd, given=given, most=most)

    def run_program(
        self,
        program: Sequence[str],
        *arguments: str,
        cwd: Path | None = None,
        given: IO[bytes] | None = None,
        most: int = MAX_ANSWER,
    ) -> bytes:
        """``run``, for another program than git."""
        answer, lines = bytearray(), Lines(self.say, self.clean)
        with (
            self.start(*arguments, program=program, cwd=cwd, given=given) as child,
            selectors.DefaultSelector() as waiting,
        ):
            assert child.stdout is not None
            assert child.stderr is not None
            for pipe in (child.stdout, child.stderr):
                waiting.register(pipe, selectors.EVENT_READ)
            looked = time.monotonic()
            while waiting.get_map():
                for key, _ in waiting.select(LOOK_SECONDS):
                    data = os.read(key.fd, CHUNK)
                    if not data:
                        waiting.unregister(key.fileobj)
                    elif key.fileobj is child.stderr:
                        lines.feed(data)
                    else:
                        answer += data
                self.stop.check()
                if len(answer) > most:
                    raise too_large("What git lists is longer than can be read", most)
                # Looking at many files takes its time: at most a tenth of it all is spent on that.
                if time.monotonic() > looked:
                    looked = time.monotonic() + max(LOOK_SECONDS, 10 * self._watch())
            lines.end()
            code = child.wait()
        self.stop.check()
        if code != 0:
            raise failure(code, tuple(lines.last))
        return bytes(answer)

    @contextmanager
    def start(
        self,
        *arguments: str,
        program: Sequence[str] = ("git",),
        cwd: Path | None = None,
        given: IO[bytes] | int | None = None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A git of a process group of its own, which is gone when the block ends or the step is told to stop."""
        try:
            child = subprocess.Popen(  # noqa: S603
                [*program, *arguments],
                stdin=subprocess.DEVNULL if given is None else given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd or self.room,
                env={**self.environment, **_thrifty()},
                start_new_session=True,
                preexec_fn=partial(_prepare, os.getpid(), _memory()),
            )
        except FileNotFoundError as error:
            raise ProblemError("GIT-PROGRAM-MISSING", program=program[0], host=os.uname().nodename) from error
        end = partial(_end, child)
        self.stop.on_stop(end)
        try:
            with spans.span("git"), child:
                try:
                    yield child
                finally:
                    end()
        finally:
            self.stop.forget(end)

    def _watch(self) -> float:
        """Look how much room is taken. Returns the seconds it took; raises ProblemError SOURCE-TOO-LARGE."""
        began = time.monotonic()
        if size_of(self.room, self.limit) > self.limit:
            raise too_large(f"Fetching was stopped at more than {readable(self.limit)}", self.limit)
        return time.monotonic() - began


def failure(code: int, lines: tuple[str, ...]) -> GitFailed | ProblemError:
    """What a git that ended with ``code`` and ``lines`` is raised as."""
    if any(_NO_MEMORY.search(line) for line in lines):
        evidence = tuple(Evidence(line, label="git") for line in lines)
        return too_large("git needs too much memory to unpack what the repository holds", MEMORY, evidence)
    return GitFailed(code, lines)


def too_large(what: str, limit: int, evidence: tuple[Evidence, ...] = ()) -> ProblemError:
    return ProblemError("SOURCE-TOO-LARGE", evidence=evidence, what=what, limit=readable(limit))


def _memory() -> int:
    """The limit, within what this process may set."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    return MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)


def _prepare(parent: int, memory: int) -> None:
    """In the child, before it becomes git. The limit comes last: a worker itself has more than that."""
    die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _thrifty() -> Mapping[str, str]:
    """``_THRIFT`` by git's environment (git-config(1)): its files are gone once nothing more is fetched."""
    found = {"GIT_CONFIG_COUNT": str(len(_THRIFT)), "MALLOC_ARENA_MAX": "2"}
    for number, (key, value) in enumerate(_THRIFT.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def size_of(folder: Path, enough: int) -> int:
    """Bytes of all files below ``folder``; counting ends beyond ``enough``. Files may vanish meanwhile."""
    total, folders = 0, [folder]
    while folders and total <= enough:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the whole group: SIGTERM, then SIGKILL. Does nothing once git has ended: its helpers end with its pipes."""
    if child.poll() is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)
        os.killpg(child.pid, signal.SIGKILL)


class Lines:
    """git's progress as lines: what a carriage return rewrites is said every few seconds, and at its end."""

    def __init__(self, say: Callable[[str], object], clean: Callable[[str], str]) -> None:
        self._say, self._clean = say, clean
        self._partial = ""
        self._said = time.monotonic()
        self.last: deque[str] = deque(maxlen=LAST_LINES)

    def feed(self, data: bytes) -> None:
        # ssh ends its lines with both; a carriage return at the very end may be the first half.
        *whole, self._partial = re.split(r"(\r\n|\n|\r(?!\Z))", self._partial + data.decode("utf-8", "replace"))
        for line, end in zip(whole[0::2], whole[1::2], strict=True):
            if end != "\r":
                self._take(line)
            elif time.monotonic() - self._said >= PROGRESS_SECONDS:
                self._tell(line)
        if len(self._partial) > _LINE_LENGTH:
            self.end()

    def end(self) -> None:
        self._take(self._partial)
        self._partial = ""

    def _take(self, line: str) -> None:
        if line.strip():
            self.last.append(self._tell(line))

    def _tell(self, line: str) -> str:
        self._said = time.monotonic()
        shown = self._clean(line.rstrip())
        self._say(shown)
        return shown
