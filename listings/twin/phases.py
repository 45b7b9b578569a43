"""The runs of the isolated test in words: each phase that the twin can run. Pure."""

from __future__ import annotations

from collections.abc import Mapping

#: As workers/sandbox names them. A test compares this with its code.
PHASES: Mapping[str, str] = {
    "train": "Training",
    "train-pipe": "Training in Pipe mode",
    "train-fastfile": "Training in FastFile mode",
    "train-values-range": "Training with a value out of its range",
    "train-values-type": "Training with a value of another type",
    "train-values-missing": "Training without a required value",
    "train-stop": "Training, stopped in its middle",
    "train-empty": "Training with an empty channel",
    "train-tuning": "Training in a tuning job",
    "train-hosts": "Training on two hosts, the first",
    "train-hosts-2": "Training on two hosts, the second",
    "serve": "Serving",
    "serve-batch": "Serving a batch job",
}


def phase_title(phase: str) -> str:
    """A run's phase in words, also the second and further ones of a kind; one that is not known by its own name."""
    kind, _, number = phase.rpartition("-")
    if phase not in PHASES and kind in PHASES and number.isdecimal():
        return f"{PHASES[kind]}, no. {number}"
    return PHASES.get(phase) or phase.replace("-", " ").capitalize()


def in_a_sentence(phase: str) -> str:
    """As it stands behind "during": training in Pipe mode."""
    title = phase_title(phase)
    return title[:1].lower() + title[1:]
