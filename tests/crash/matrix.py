"""What is to become of a step whose worker, or Redis, is killed in its middle. One cell, one expectation."""

from __future__ import annotations

#: ``attempts`` of the step, in their order. Whatever is killed, the run ends as passed and the release as published.
#:   child    the Celery child that runs the step; its parent forks another
#:   parent   the Celery parent alone: its children go with it, and an operator starts another worker
#:   group    both at once, as when a host dies
#:   redis    the step knows nothing of it; the log's live view and the hints come back with it
_RUN = """
victim   fetch           build           inspect         scan            test            push
child    lost+succeeded  lost+succeeded  lost+succeeded  lost+succeeded  lost+succeeded  lost+succeeded
parent   lost+succeeded  lost+succeeded  lost+succeeded  lost+succeeded  lost+succeeded  lost+succeeded
group    lost+succeeded  lost+succeeded  lost+succeeded  lost+succeeded  lost+succeeded  lost+succeeded
redis    succeeded       succeeded       succeeded       succeeded       succeeded       succeeded
"""
_RELEASE = """
victim   register        publish
child    lost+succeeded  lost+succeeded
parent   lost+succeeded  lost+succeeded
group    lost+succeeded  lost+succeeded
redis    succeeded       succeeded
"""

Row = dict[str, list[str]]


def _read(table: str) -> dict[str, Row]:
    (_, *steps), *rows = (line.split() for line in table.strip().splitlines())
    return {victim: dict(zip(steps, (cell.split("+") for cell in cells), strict=True)) for victim, *cells in rows}


RUN, RELEASE = _read(_RUN), _read(_RELEASE)
