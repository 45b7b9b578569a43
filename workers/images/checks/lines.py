"""What the Dockerfile lines tell by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from listings.reports import CheckReport, Evidence
from workers.images.checks.subject import PASS, WARN, Subject, few

_PIP = re.compile(r"(?:^|[\s;&|(])(?:[\w./-]{0,100}/)?(?:pip[0-9.]*|python[0-9.]*\s+-m\s+pip)\s+install\s+([^;&|#]+)")
#: Options of ``pip install`` that take the next word.
_WITH_VALUE = frozenset(
    {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host", "--timeout", "--retries",
     "-t", "--target", "--prefix", "--root", "--platform", "--python-version", "--cert", "--proxy", "--cache-dir",
     "--no-binary", "--only-binary", "--progress-bar", "--src", "--global-option", "--config-settings"}
)  # fmt: skip
#: With these the versions come from elsewhere, and nothing is certain.
_FROM_ELSEWHERE = frozenset({"-c", "--constraint", "-r", "--requirement", "-e", "--editable", "--require-hashes"})
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[\w,.-]*\])?")
_REDIRECTION = re.compile(r"\d?[<>]")
#: Installers are replaced, not relied on.
_INSTALLERS = frozenset({"pip", "setuptools", "wheel", "uv", "build", "poetry", "pipenv", "virtualenv"})


def checks(subject: Subject) -> Iterator[CheckReport]:
    found: list[Evidence] = []
    first = ""
    for index, layer in enumerate(subject.image.layers):
        names = unpinned(layer.created_by)
        if names:
            first = first or names[0]
            found.append(subject.at(f"without a version: {', '.join(names[:10])}", index))
    yield CheckReport("IMAGE-UNPINNED", WARN if found else PASS, {"package": first}, few(found))


def unpinned(line: str) -> list[str]:
    """Packages that a RUN line installs with pip by their mere names. A range of versions counts as a choice."""
    if not line.startswith("RUN "):
        return []
    names: list[str] = []
    for command in _PIP.finditer(line):
        words = command[1].split()
        if _FROM_ELSEWHERE & {word.partition("=")[0] for word in words}:
            continue
        names += _bare_names(words)
    return names


def _bare_names(words: list[str]) -> list[str]:
    names, skip = [], False
    for word in words:
        if _REDIRECTION.match(word):
            break
        if skip or word.startswith("-"):
            skip = not skip and word in _WITH_VALUE
            continue
        plain = word.strip("\"'")
        # A file, an address, a variable or a version range is no mere name.
        named = _PLAIN_NAME.fullmatch(plain) and not plain.endswith((".whl", ".gz", ".zip"))
        if named and plain.partition("[")[0].lower() not in _INSTALLERS:
            names.append(plain)
    return names
