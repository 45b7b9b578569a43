"""One thing wrong with a spec, and the exception that carries all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from listings import problems
from listings.reports import CheckOutcome, CheckReport, Evidence, ProblemReport

Loc = tuple[str | int, ...]


def path_text(loc: Loc) -> str:
    """``("training", "TrainingChannels", 0, "Name")`` as ``training.TrainingChannels[0].Name``."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """``code`` is in the failure catalogue, ``loc`` the place in the spec (for forms: the field),
    ``line`` and ``column`` count from 1 and are None when the spec did not come from a text."""

    code: str
    loc: Loc = ()
    line: int | None = None
    column: int | None = None
    params: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return path_text(self.loc)

    @property
    def message(self) -> str:
        """What is wrong, in one sentence, without the place."""
        return problems.fill(problems.get(self.code).cause, self._all_params())

    @property
    def remedy(self) -> str:
        return problems.fill(problems.get(self.code).remedy, self._all_params())

    @property
    def where(self) -> str:
        """The place in words: ``line 12, training.TrainingChannels``."""
        parts = [f"line {self.line}"] if self.line else []
        if self.loc:
            parts.append(self.path)
        return ", ".join(parts) or "slipway.yaml"

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"

    def _all_params(self) -> dict[str, str]:
        return {"path": self.path or "slipway.yaml", "line": str(self.line or ""), **self.params}

    def as_check(self, outcome: CheckOutcome = CheckOutcome.FAIL) -> CheckReport:
        return CheckReport(self.code, outcome, self._all_params(), (Evidence(str(self), label=self.where),))


class SpecErrors(Exception):  # noqa: N818 (it stands for several)
    """Everything that is wrong with one spec, in the order of its lines."""

    def __init__(self, found: Sequence[SpecProblem]) -> None:
        self.problems = tuple(sorted(found, key=lambda problem: (problem.line or 0, problem.column or 0)))
        super().__init__("; ".join(str(problem) for problem in self.problems))

    def as_report(self) -> ProblemReport:
        """The only problem itself, or one that stands for all: each is then a piece of its evidence."""
        first = self.problems[0]
        if len(self.problems) == 1:
            check = first.as_check()
            return ProblemReport(check.code, check.params, check.evidence)
        evidence = tuple(Evidence(problem.message, label=problem.where) for problem in self.problems)
        count = len(self.problems)
        params = {"count": f"{count} problem{'s' if count != 1 else ''}", "first": str(first)}
        return ProblemReport("SPEC-INVALID", params, evidence)
