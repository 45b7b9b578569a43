"""Names inside an archive: what they may be, and where links lead."""

from __future__ import annotations

import re
from collections.abc import Mapping

from listings.problems import ProblemError
from workers.sources.members import shown

MAX_NAME_BYTES = 1024
MAX_PART_BYTES = 255
MAX_DEPTH = 64
MAX_HOPS = 40

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:(/|$)")


def clean(name: str) -> str:
    """``name`` relative to the archive's root; empty for the root itself.

    Raises ProblemError SOURCE-PATH-ESCAPE (absolute, or with ``..``), SOURCE-BAD-NAME.
    """
    if name.startswith("/") or _DRIVE.match(name):
        raise ProblemError("SOURCE-PATH-ESCAPE", member=shown(name))
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ProblemError("SOURCE-PATH-ESCAPE", member=shown(name))
    try:
        lengths = [len(part.encode("utf-8")) for part in parts]
    except UnicodeEncodeError as error:
        raise ProblemError("SOURCE-BAD-NAME", member=shown(name)) from error
    too_long = sum(lengths) + len(lengths) > MAX_NAME_BYTES or max(lengths, default=0) > MAX_PART_BYTES
    if too_long or len(parts) > MAX_DEPTH or _CONTROL.search(name):
        raise ProblemError("SOURCE-BAD-NAME", member=shown(name))
    return "/".join(parts)


def parents(name: str) -> list[str]:
    """``a/b/c`` -> ``["a", "a/b"]``"""
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def leads_out(name: str, links: Mapping[str, str]) -> bool:
    """Whether following the symbolic link ``name`` ever leaves the root, through other ``links`` too.

    Text alone does not tell: ``a/b -> ..`` is harmless, but makes ``c -> a/b/../..`` lead out.
    A loop leads nowhere and is no escape.
    """
    here = name.split("/")[:-1]
    steps = _steps(links[name])
    if steps is None:
        return True
    hops = 1
    while steps:
        part = steps.pop(0)
        if part == "..":
            if not here:
                return True
            here.pop()
            continue
        here.append(part)
        target = links.get("/".join(here))
        if target is not None:
            hops += 1
            if hops > MAX_HOPS:
                return False
            ahead = _steps(target)
            if ahead is None:
                return True
            here.pop()
            steps = ahead + steps
    return False


def _steps(target: str) -> list[str] | None:
    """The steps of a link's target; None when it is absolute."""
    if target.startswith("/"):
        return None
    return [part for part in target.split("/") if part not in ("", ".")]
