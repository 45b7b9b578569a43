"""What the checks look at, and how they name a place in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from listings.reports import CheckOutcome, CheckReport, Evidence
from workers.images.leads import Script, start_scripts
from workers.images.programs import Program, entrypoint, started_by
from workers.images.reader import Image
from workers.images.tree import Node
from workers.logs import Redactor

PASS, WARN, FAIL, SKIP = CheckOutcome.PASS, CheckOutcome.WARN, CheckOutcome.FAIL, CheckOutcome.SKIP
#: Pieces of evidence that a check shows, and characters of each.
MOST_SHOWN, LONGEST_SHOWN = 20, 300


@dataclass(frozen=True, slots=True)
class Artifact:
    """The model's own archive, as ``fetch`` measured it: packed and unpacked bytes."""

    packed: int
    unpacked: int


@dataclass(frozen=True)
class Subject:
    """``wanted``: the commands that the spec asks for, of ``train`` and ``serve``. ``log_lines``: where the attempt's
    log names each layer. ``chained``: it serves as several containers of a pipeline."""

    image: Image
    wanted: tuple[str, ...]
    artifact: Artifact | None = None
    log_lines: Sequence[int] = ()
    chained: bool = False

    @cached_property
    def first(self) -> Program | None:
        """ENTRYPOINT's program."""
        return entrypoint(self.image)

    @cached_property
    def started(self) -> dict[str, Program]:
        """The program behind each wanted command, found or not."""
        return {argument: started_by(self.image, argument) for argument in self.wanted}

    @cached_property
    def scripts(self) -> list[Script]:
        """The scripts behind the wanted commands and what they lead to, as far as they could be read."""
        return start_scripts(self.image, list(self.started.values()))

    @property
    def startable(self) -> bool:
        return self.first is None or self.first.node is not None

    def at(self, text: str, layer: int) -> Evidence:
        """Evidence that lies in a layer: with the Dockerfile line that made it, and the log's line on it."""
        line = self.image.layers[layer].created_by if layer < len(self.image.layers) else ""
        number = self.log_lines[layer] if layer < len(self.log_lines) else None
        return Evidence(shown(text), shown(line), number)

    def about(self, node: Node, text: str) -> Evidence:
        return self.at(text, node.layer)


def shown(text: str) -> str:
    """``text`` without credentials, on one line, and not too long."""
    clean = Redactor().clean(" ".join(text[: 4 * LONGEST_SHOWN].split()))
    return clean if len(clean) <= LONGEST_SHOWN else f"{clean[: LONGEST_SHOWN - 1]}…"


def few(evidence: list[Evidence]) -> tuple[Evidence, ...]:
    """The first pieces, and how many more there are."""
    if len(evidence) <= MOST_SHOWN:
        return tuple(evidence)
    return (*evidence[: MOST_SHOWN - 1], Evidence(f"and {len(evidence) - MOST_SHOWN + 1} more"))


def skipped(code: str, reason: str) -> CheckReport:
    """What could not be established, with the reason."""
    return CheckReport(code, SKIP, {"reason": reason}, (Evidence(reason),))
