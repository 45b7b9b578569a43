"""The log of a run with several containers."""

from __future__ import annotations

from collections.abc import Iterable

from workers.steps.contract import Log


class NamedLog:
    """The attempt's log, with the container named in each line that it prints."""

    def __init__(self, log: Log, name: str) -> None:
        self._log, self._name = log, name

    def line(self, text: str, stream: str = "out", lost: int = 0) -> int:
        return self._log.line(text if stream == "slipway" else f"{self._name}: {text}", stream, lost)

    def section(self, title: str) -> int:
        return self._log.section(title)

    def tail(self, count: int) -> list[tuple[int, str]]:
        return self._log.tail(count)

    def add_secrets(self, secrets: Iterable[str]) -> None:
        self._log.add_secrets(secrets)
