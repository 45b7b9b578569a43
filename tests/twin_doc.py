"""What docs/twin.md and the tests give each other: the table of known failures, and the differences from AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.contract_rows import NOT_DETECTED, ROWS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "twin.md"
BEGIN, END = "<!-- rows: written by `make docs` -->", "<!-- end of rows -->"
DIFFERENCES_HEADING = "## Where the twin differs from AWS\n"
#: Made from the table below that heading.
DIFFERENCES = PAGE.parent.parent / "listings" / "twin" / "differences.json"
HEAD = "| # | what AWS would say hours later | found by | provoked by |\n|---|---|---|---|\n"


def page(marks: Iterable[tuple[tuple[Any, ...], str]]) -> str:
    """The whole page with its table of rows. Raises SystemExit naming the rows that no test provokes."""
    found: dict[int, dict[str, str]] = {row: {} for row in ROWS}
    for (row, code), test in marks:
        # Several tests may provoke a row by one code, in an order that pytest chooses: the first by name is told.
        found[row][code] = min(test, found[row].get(code, test))
    missing = [str(row) for row in ROWS if not found[row] and row not in NOT_DETECTED]
    if missing:
        raise SystemExit(f"no test provokes row {', '.join(missing)} of tests/contract_rows.py")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    if not after:
        raise SystemExit(f"docs/{PAGE.name} has no place for the rows: {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{HEAD}{''.join(_rows(found))}\n{END}{after}"


def _rows(found: dict[int, dict[str, str]]) -> Iterable[str]:
    for row, text in ROWS.items():
        codes = sorted(found[row].items())
        if not codes:
            yield f"| {row} | {text} | | not to be seen before: only a buyer meets it |\n"
        for number, (code, test) in enumerate(codes):
            first = (str(row), text) if number == 0 else ("", "")
            yield f"| {first[0]} | {first[1]} | `{code}` | `{test}` |\n"


def differences() -> str:
    """The rows of the table that says where the twin differs from AWS, as the report page reads them.

    Raises SystemExit without such a table.
    """
    after = PAGE.read_text().partition(DIFFERENCES_HEADING)[2].partition("\n## ")[0]
    lines = [line for line in after.splitlines() if line.startswith("|")][2:]
    rows = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    if not rows or any(len(row) != 3 for row in rows):
        raise SystemExit(f"docs/{PAGE.name} has no table of three columns below: {DIFFERENCES_HEADING.strip()}")
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
