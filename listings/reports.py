"""What a step hands back: plain data, no Django, no network. Workers fill it, services store it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class CheckOutcome(StrEnum):
    PASS = "pass"  # noqa: S105 - an outcome, not a password
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of proof. ``log_line`` is the line number in the attempt's own log, counted from 1."""

    text: str
    label: str = ""
    log_line: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {"text": self.text, "label": self.label, "log_line": self.log_line}


@dataclass(frozen=True, slots=True)
class ProblemReport:
    """A problem that happened: a catalogue code, the values its texts need, and the evidence."""

    code: str
    params: dict[str, str] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One rule with its outcome. Texts come from the problem catalogue under ``code``."""

    code: str
    outcome: CheckOutcome
    params: dict[str, str] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    patch: str = ""


@dataclass(frozen=True, slots=True)
class FindingReport:
    kind: str  # "os" | "vulnerability" | "secret"
    identifier: str
    severity: Severity
    title: str
    package: str = ""
    installed: str = ""
    fixed_in: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """``complete`` is False when the image could not be scanned: unknown, never "0 findings"."""

    scanner: str
    scanner_version: str
    complete: bool
    os_id: str = ""
    os_version: str = ""
    os_name: str = ""
    findings: tuple[FindingReport, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of an attempt's time spent outside Slipway; ``start`` and ``end`` in seconds since the epoch."""

    kind: str
    start: float
    end: float

    def as_json(self) -> list[str | float]:
        return [self.kind, round(self.start, 3), round(self.end, 3)]


@dataclass(frozen=True, slots=True)
class StepReport:
    """How an attempt ended.

    ``problem`` None means the step succeeded; else its owner in the catalogue decides whether the
    attempt failed (seller) or errored (platform, aws). ``poll_after`` (seconds) parks the attempt:
    it stays running without a worker and is executed again once the time has passed.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    checks: tuple[CheckReport, ...] = ()
    scan: ScanReport | None = None
    problem: ProblemReport | None = None
    poll_after: float | None = None
    spans: tuple[Span, ...] = ()
