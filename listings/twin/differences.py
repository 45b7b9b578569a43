"""Where the twin differs from AWS, as the report page shows it.

The table of docs/twin.md is the source; ``make docs`` writes differences.json from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple


class Difference(NamedTuple):
    """In Markdown: ``code`` between backticks, nothing else."""

    topic: str
    aws: str
    twin: str


DIFFERENCES: tuple[Difference, ...] = tuple(
    Difference(*row) for row in json.loads(Path(__file__).with_name("differences.json").read_text(encoding="utf-8"))
)
