"""How a call to anywhere fails in the closed namespace. AWS does not document it, so it is a value of the run."""

from __future__ import annotations

from enum import StrEnum


class Network(StrEnum):
    """``REFUSE`` decides the verdict: reset or unreachable at once, no name is known. ``DROP``: no answer ever comes.
    ``DIAGNOSE``: names get made-up addresses and connections are taken, so that it shows what is said; never judged."""

    REFUSE = "refuse"
    DROP = "drop"
    DIAGNOSE = "diagnose"

    @property
    def words(self) -> str:
        return {"refuse": "calls refused", "drop": "calls dropped", "diagnose": "calls listened to"}[self.value]
