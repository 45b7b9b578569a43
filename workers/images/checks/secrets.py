"""Plaintext credentials: in the environment, the labels, the history, and the files of every layer."""

from __future__ import annotations

from collections.abc import Iterator

from listings.reports import CheckReport, Evidence
from workers.images.checks.subject import FAIL, PASS, WARN, Subject, few, shown
from workers.images.credentials import find_in_text, find_in_value
from workers.images.reader import instruction


def checks(subject: Subject) -> Iterator[CheckReport]:
    certain: list[Evidence] = []
    suspected: list[Evidence] = []
    for sure, evidence in (*_in_configuration(subject), *_in_history(subject), *_in_files(subject)):
        (certain if sure else suspected).append(evidence)
    yield CheckReport("IMAGE-SECRET", FAIL if certain else PASS, {"count": str(len(certain))}, few(certain))
    yield CheckReport(
        "IMAGE-SECRET-SUSPECTED", WARN if suspected else PASS, {"count": str(len(suspected))}, few(suspected)
    )


def _in_configuration(subject: Subject) -> Iterator[tuple[bool, Evidence]]:
    config = subject.image.config
    for where, values in (("ENV", config.env), ("LABEL", config.labels)):
        for name, value in list(values.items())[:1000]:
            for secret in find_in_value(name, value[:64_000])[:1]:
                yield secret.certain, Evidence(f"{where} {shown(name)}: {secret.what}")


def _in_history(subject: Subject) -> Iterator[tuple[bool, Evidence]]:
    """Build arguments and commands stay in the history, whatever later lines remove."""
    for raw in subject.image.history:
        line = instruction(raw)
        if line.startswith(("ENV ", "LABEL ")):
            continue  # looked at where they are in force
        found = find_in_text(raw)
        if line.startswith("ARG "):
            name, _, value = line.removeprefix("ARG ").partition("=")
            found = find_in_value(name, value)
        for secret in found[:1]:
            yield secret.certain, Evidence(f"image history: {secret.what}", shown(line))


def _in_files(subject: Subject) -> Iterator[tuple[bool, Evidence]]:
    tree = subject.image.tree
    for index, layer in enumerate(subject.image.layers):
        for secret in layer.facts.secrets:
            node = tree.resolve(f"/{secret.path}")
            gone = node is None or node.layer != index
            note = " (removed or replaced by a later line, but still in this layer)" if gone else ""
            yield secret.certain, subject.at(f"/{secret.path}:{secret.line}: {secret.what}{note}", index)
