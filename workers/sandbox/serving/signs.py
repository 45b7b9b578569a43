"""What a server's log gives away: a write to the read-only model directory, rights it does not have, killed workers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from listings.reports import CheckOutcome, Evidence
from workers.sandbox.phase import Outcome
from workers.steps.contract import Log

MAX_EVIDENCE = 5
#: Lines are a stranger's: no more of one than this is searched, and the expressions have no nested repeats.
MAX_SEARCHED = 2000


@dataclass(frozen=True, slots=True)
class Sign:
    code: str
    expression: re.Pattern[str]
    #: Only a line with one of these is searched: a flood of lines must not take longer to read for it.
    words: tuple[str, ...]
    #: Whether it can be what a broken run died of: then it fails, and explains the end.
    explains: bool
    #: A line with one of these is not meant.
    but: tuple[str, ...] = ()


SIGNS = (
    Sign(
        "TEST-MODEL-WRITE",
        re.compile(r"read-only file system|\bEROFS\b|(permission denied: '?|EACCES.{0,80})/opt/ml/model", re.I),
        ("read-only", "erofs", "denied", "eacces"),
        explains=True, but=("/proc/", "/sys/"),
    ),
    Sign(
        "TEST-PRIVILEGES",
        re.compile(
            r"/dev/fuse|fusermount|\bmount\b.{0,80}(operation not permitted|permission denied|must be superuser)"
            r"|(operation not permitted|permission denied).{0,80}\bmount\b|insufficient shared memory"
            r"|out of shared memory|/dev/shm.{0,80}no space left|no space left.{0,80}/dev/shm"
            r"|(unshare|setns|ptrace|iptables|modprobe|sysctl|sched_setscheduler|set_mempolicy).{0,80}not permitted",
            re.I,
        ),
        ("fuse", "mount", "shared memory", "dev/shm", "not permitted"),
        explains=True,
    ),
    Sign("TEST-WORKER-TIMEOUT", re.compile(r"WORKER TIMEOUT"), ("worker timeout",), explains=False),
)  # fmt: skip
BROKEN = {"TEST-SERVE-EXITED", "TEST-SERVE-PING", "TEST-REQUEST", "TEST-REQUEST-TIME", "TEST-BATCH-START"}


class WatchedLog:
    """The attempt's log, read along while the container writes it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.found: dict[str, list[Evidence]] = {sign.code: [] for sign in SIGNS}

    def line(self, text: str, stream: str = "out", lost: int = 0) -> int:
        number = self._log.line(text, stream, lost)
        if stream != "slipway":
            self._search(text[:MAX_SEARCHED], number)
        return number

    def _search(self, text: str, number: int) -> None:
        lowered = text.lower()
        for sign in SIGNS:
            found = self.found[sign.code]
            if len(found) == MAX_EVIDENCE or not any(word in lowered for word in sign.words):
                continue
            if any(part in text for part in sign.but):
                continue
            if sign.expression.search(text):
                found.append(Evidence(text, label="log", log_line=number))

    def section(self, title: str) -> int:
        return self._log.section(title)

    def tail(self, count: int) -> list[tuple[int, str]]:
        return self._log.tail(count)

    def add_secrets(self, secrets: Iterable[str]) -> None:
        self._log.add_secrets(secrets)


def judge(outcome: Outcome, log: WatchedLog, *, say_none: bool) -> None:
    """Add a check for each sign. One that explains why the run broke becomes its problem, in place of what it caused.

    ``say_none``: whether that there is no sign of something is told, too.
    """
    for sign in SIGNS:
        evidence = tuple(log.found[sign.code])
        if not evidence:
            if say_none:
                outcome.passed(sign.code, phase=outcome.phase)
        elif sign.explains and outcome.problem is not None and outcome.problem.code in BROKEN:
            outcome.problem = None
            outcome.failed(sign.code, evidence, phase=outcome.phase, line=evidence[0].text)
        else:
            outcome.add(CheckOutcome.WARN, sign.code, evidence=evidence, phase=outcome.phase, line=evidence[0].text)
