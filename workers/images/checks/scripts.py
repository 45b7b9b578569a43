"""Static signs in the start scripts. They warn only: the isolated test is what knows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from listings.reports import CheckReport, Evidence
from workers.images.checks.subject import PASS, WARN, Subject, few, shown, skipped
from workers.images.leads import Script
from workers.images.programs import place_of
from workers.images.signs import SignKind, signs

_CODES = {SignKind.INSTALL: "IMAGE-START-INSTALL", SignKind.NETWORK: "IMAGE-START-NETWORK"}
#: Programs that a start script goes on with. Others may be functions, built-ins or made at run time.
_CALLED = re.compile(
    r"(?m)^[ \t]*(?:exec[ \t]+)?(python[0-9.]*|gunicorn|uvicorn|nginx|java|Rscript|node|perl|torchserve"
    r"|tritonserver|conda|bash)[ \t]+(?!\(\))\S"
)


def checks(subject: Subject) -> Iterator[CheckReport]:
    if not subject.wanted:
        return
    if not subject.scripts:
        reason = "The start programs are no scripts whose text could be read."
        yield from (skipped(code, reason) for code in (*_CODES.values(), "IMAGE-START-PROGRAM"))
        return
    found: dict[SignKind, list[Evidence]] = {kind: [] for kind in SignKind}
    for script in subject.scripts:
        for sign in signs(script):
            found[sign.kind].append(subject.about(script.node, f"{script.path}:{sign.line}: {sign.text}"))
    for kind, evidence in found.items():
        params = {"count": str(len(evidence)), "place": evidence[0].text.partition(": ")[0] if evidence else ""}
        yield CheckReport(_CODES[kind], WARN if evidence else PASS, params, few(evidence) or _read(subject.scripts))
    yield _programs(subject)


def _read(scripts: list[Script]) -> tuple[Evidence, ...]:
    """What was looked at, where nothing was found."""
    return few([Evidence(shown(script.path), "read") for script in scripts])


def _programs(subject: Subject) -> CheckReport:
    """``exec python main.py`` in an image that has python3 only."""
    place, evidence, first = place_of(subject.image), [], ""
    for script in subject.scripts:
        if not script.is_shell or re.search(r"(?m)^[ \t]*(?:export[ \t]+)?PATH=|activate|module load", script.text):
            continue  # its own search path is not known
        for hit in list(_CALLED.finditer(script.text))[:20]:
            if place.which(hit[1]) is None:
                number = script.text.count("\n", 0, hit.start(1)) + 1
                evidence.append(subject.about(script.node, f"{script.path}:{number}: {hit[0].strip()[:-1].strip()}"))
                first = first or hit[1]
    return CheckReport("IMAGE-START-PROGRAM", WARN if evidence else PASS, {"program": first}, few(evidence))
