"""What one entry of the catalogue holds, and the exception that carries one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from listings.reports import Evidence, ProblemReport


class Owner(StrEnum):
    """Whose move it is."""

    SELLER = "seller"
    PLATFORM = "platform"
    AWS = "aws"


class NextAction(StrEnum):
    RETRY_STEP = "retry_step"
    FIX_AND_REBUILD = "fix_and_rebuild"
    ASK_WAIVER = "ask_waiver"
    FIX_INPUT = "fix_input"
    CALL_OPERATOR = "call_operator"


@dataclass(frozen=True, slots=True)
class Problem:
    """``title`` is one short sentence, ``cause`` says what happened, ``remedy`` what to change,
    ``source`` where the rule comes from (a document and section), ``holds`` the sentence shown when a
    check of this code passes (empty for problems that are not checks). ``asks`` and ``unjudged`` are the words of a
    check that was skipped (listings/problems/questions.py)."""

    code: str
    owner: Owner
    title: str
    cause: str
    remedy: str
    next_action: NextAction
    source: str = ""
    holds: str = ""
    asks: str = ""
    unjudged: str = ""


def fix_and_rebuild(
    code: str, title: str, cause: str, remedy: str, source: str, holds: str = "",
    action: NextAction = NextAction.FIX_AND_REBUILD,
) -> Problem:  # fmt: skip
    """A problem of the isolated test that the seller mends."""
    return Problem(code, Owner.SELLER, title, cause, remedy, action, source, holds)


class _Named(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "…"


def fill(template: str, params: Mapping[str, str]) -> str:
    """``template`` with its ``{names}`` replaced; an ellipsis stands for a value that is not known."""
    return template.format_map(_Named(params))


class ProblemError(Exception):
    """Raised anywhere below a page or a step to end it with a catalogued problem."""

    def __init__(self, code: str, *, evidence: tuple[Evidence, ...] = (), **params: object) -> None:
        self.report = ProblemReport(code, {k: str(v) for k, v in params.items()}, evidence)
        super().__init__(f"{code}: {', '.join(f'{k}={v}' for k, v in params.items())}")

    @property
    def code(self) -> str:
        return self.report.code
