"""Which operating system an image is made of, read from its files and never by running it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from workers.images.tree import Tree

#: What a database column takes of each; real values are a tenth of it.
ID_LENGTH, NAME_LENGTH = 60, 160


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """``id`` and ``version`` as in os-release(5) (``VERSION_ID``, empty where the system gives none); ``path`` is the
    file that told; ``fields`` that file's own, where it is an os-release."""

    id: str
    version: str
    name: str
    path: str
    fields: dict[str, str] = field(default_factory=dict)


def identify(tree: Tree) -> OperatingSystem | None:
    """The image's operating system, or None if no file of it tells."""
    for path, read in _SOURCES:
        text = tree.text(path)
        found = read(text, path) if text else None
        if found is not None:
            return _within_limits(_refined(found, tree))
    return None


def _within_limits(found: OperatingSystem) -> OperatingSystem:
    return OperatingSystem(
        found.id[:ID_LENGTH],
        found.version[:ID_LENGTH],
        found.name[:NAME_LENGTH],
        found.path,
        {name[:ID_LENGTH]: value[:NAME_LENGTH] for name, value in list(found.fields.items())[:40]},
    )


def _refined(found: OperatingSystem, tree: Tree) -> OperatingSystem:
    """Debian's testing and unstable name no version in os-release; a released one says it in debian_version."""
    if found.id == "debian" and not found.version:
        version = _leading_number(tree.text("/etc/debian_version") or "")
        return OperatingSystem(found.id, version, found.name, found.path, found.fields)
    return found


def parse_os_release(text: str) -> dict[str, str]:
    """The assignments of an os-release file, unquoted as a shell would; lines that are none are passed over."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            continue
        try:
            words = shlex.split(value)
        except ValueError:  # a quote that is never closed
            words = [value.strip("\"'")]
        fields[name] = words[0] if words else ""
    return fields


def _os_release(text: str, path: str) -> OperatingSystem | None:
    fields = parse_os_release(text)
    os_id = fields.get("ID", "").strip().lower()
    if not os_id:
        return None
    version = fields.get("VERSION_ID", "").strip()
    name = fields.get("PRETTY_NAME") or f"{fields.get('NAME', os_id)} {version}"
    return OperatingSystem(os_id, version, name.strip(), path, fields)


def _lsb_release(text: str, path: str) -> OperatingSystem | None:
    fields = parse_os_release(text)
    os_id = fields.get("DISTRIB_ID", "").strip().lower()
    if not os_id:
        return None
    version = fields.get("DISTRIB_RELEASE", "").strip()
    name = fields.get("DISTRIB_DESCRIPTION") or f"{fields['DISTRIB_ID']} {version}"
    return OperatingSystem(os_id, version, name.strip(), path, fields)


def _alpine(text: str, path: str) -> OperatingSystem | None:
    version = _leading_number(text)
    return OperatingSystem("alpine", version, f"Alpine Linux {version}".strip(), path)


def _debian(text: str, path: str) -> OperatingSystem | None:
    version = _leading_number(text)
    name = f"Debian GNU/Linux {version or text.strip().splitlines()[0]}" if text.strip() else "Debian GNU/Linux"
    return OperatingSystem("debian", version, name, path)


#: How the one line of a release file begins, and the ID that the system's os-release would have.
_RED_HAT_LIKE = (
    ("amazon linux", "amzn"),
    ("centos", "centos"),
    ("oracle", "ol"),
    ("enterprise linux enterprise", "ol"),
    ("red hat enterprise", "rhel"),
    ("fedora", "fedora"),
    ("rocky", "rocky"),
    ("almalinux", "almalinux"),
)


def _release_line(text: str, path: str) -> OperatingSystem | None:
    line = text.strip().partition("\n")[0].strip()
    for start, os_id in _RED_HAT_LIKE:
        if line.lower().startswith(start):
            number = re.search(r"(\d+(?:\.\d+)*)", line)
            return OperatingSystem(os_id, number[1] if number else "", line, path)
    return None


def _leading_number(text: str) -> str:
    number = re.match(r"\s*(\d+(?:\.\d+)*)", text)
    return number[1] if number else ""


#: In this order: what is specific before what a derived system still carries of its parent. Ubuntu has Debian's
#: debian_version, Oracle Linux a redhat-release.
_SOURCES: tuple[tuple[str, Callable[[str, str], OperatingSystem | None]], ...] = (
    ("/etc/os-release", _os_release),
    ("/usr/lib/os-release", _os_release),
    ("/etc/lsb-release", _lsb_release),
    ("/etc/alpine-release", _alpine),
    ("/etc/oracle-release", _release_line),
    ("/etc/centos-release", _release_line),
    ("/etc/redhat-release", _release_line),
    ("/etc/system-release", _release_line),
    ("/etc/debian_version", _debian),
)
