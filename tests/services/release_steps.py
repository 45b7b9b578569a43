"""Drives a release's step the way the control worker does: execute, park, execute again."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from listings.models import Attempt, Release, Run
from listings.models.listings import Listing, Version
from listings.models.teams import Team
from listings.problems import ProblemError
from listings.reports import StepReport
from listings.spec import VersionSpec
from tests.aws_fixtures import Aws, spec_of
from workers.steps.contract import StepContext, Stop


@dataclass
class Lines:
    """A log that remembers."""

    lines: list[str] = field(default_factory=list)

    def line(self, text: str, stream: str = "out") -> int:
        self.lines.append(text)
        return len(self.lines)

    def section(self, title: str) -> int:
        return self.line(title)

    def tail(self, count: int) -> list[tuple[int, str]]:
        return list(enumerate(self.lines, 1))[-count:]


@dataclass
class Case:
    """One release of one version, unsaved: the steps write no rows of their own."""

    aws: Aws
    spec: VersionSpec
    push: dict[str, Any]
    release: Release
    log: Lines = field(default_factory=Lines)

    def attempt(self, number: int = 1) -> Attempt:
        return Attempt(number=number, facts={}, polls=0)

    def once(self, step: ModuleType, attempt: Attempt) -> StepReport:
        facts = {"fetch": {"spec": self.spec.as_json()}, "push": self.push}
        context = StepContext(
            attempt=attempt,
            version=self.release.version,
            run=None,
            release=self.release,
            facts=facts,
            log=self.log,
            stop=Stop(),
            workdir=Path(),
        )
        report: StepReport = step.execute(context)
        return report

    def run(self, step: ModuleType, attempt: Attempt | None = None) -> StepReport:
        """Until the step ends; a ProblemError becomes the report that the worker would make of it."""
        attempt = attempt or self.attempt()
        for _ in range(60):
            try:
                report = self.once(step, attempt)
            except ProblemError as error:
                return StepReport(problem=error.report)
            if report.poll_after is None:
                return report
            attempt.facts, attempt.polls = report.facts, attempt.polls + 1
            time.sleep(report.poll_after)
        raise AssertionError(f"the step never ended; its log: {self.log.lines}")


def case(aws: Aws, text: str | None = None, *, push: dict[str, Any] | None = None, run_number: int = 1) -> Case:
    spec = spec_of(text) if text else spec_of()
    fields = vars(aws.team) | {"name": "Acme", "slug": "acme", "ecr_prefix": "acme"}
    listing = Listing(
        team=Team(**fields), kind=spec.kind, name="Trees", slug="trees", product_id=f"prod-{uuid.uuid4().hex[:13]}"
    )
    version = Version(listing=listing, number="1.0.0", notes="")
    release = Release(version=version, run=Run(version=version, number=run_number))
    return Case(aws, spec, push or aws.push_facts(), release)
