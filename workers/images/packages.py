"""Which packages a layer brings: read from the lists of files and the small status files that managers keep."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: (manager, name, version); the version is empty where it is not told.
Package = tuple[str, str, str]

DPKG_STATUS = "var/lib/dpkg/status"
#: Managers that keep one list of all that is installed.
WHOLE_LISTS = frozenset({"dpkg", "apk"})
#: Their content is taken apart and not kept. The distroless images have one small file for each package.
DATABASES = frozenset({DPKG_STATUS, "lib/apk/db/installed", "usr/lib/apk/db/installed"})
_DISTROLESS = "var/lib/dpkg/status.d/"
_DIST_INFO = re.compile(r"/([^/]+)-([^/-]+)\.dist-info/METADATA$")
_EGG_INFO = re.compile(r"/([^/]+?)-([^/-]+)(?:-py[0-9.]+[^/]*)?\.egg-info(?:/PKG-INFO)?$")
_CONDA = re.compile(r"/conda-meta/([^/]+)-([^/-]+)-[^/-]+\.json$")
_NPM = re.compile(r"(?:^|/)node_modules/((?:@[^/]+/)?[^/@]+)/package\.json$")
_VERSION = re.compile(r'"version"\s*:\s*"([^"\\]{1,100})"')
_LONGEST = 200


def holds_database(path: str) -> bool:
    """Whether the content of the file has to be given to ``PackageList.content``."""
    if path in DATABASES:
        return True
    if path.endswith("/package.json"):
        return _NPM.search(path) is not None
    return path.startswith(_DISTROLESS) and not path.endswith(".md5sums")


class PackageList:
    """Collects a layer's packages file by file; ``most`` bounds them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[Package, None] = {}

    def path(self, path: str) -> None:
        """Told of every file."""
        if path.endswith((".dist-info/METADATA", ".egg-info", ".egg-info/PKG-INFO")):
            if hit := _DIST_INFO.search(path) or _EGG_INFO.search(path):
                self._add("pip", hit[1].replace("_", "-"), hit[2])
        elif path.endswith(".json") and (hit := _CONDA.search(path)):
            self._add("conda", hit[1], hit[2])

    def content(self, path: str, text: str) -> None:
        if path.endswith("/package.json"):
            hit, version = _NPM.search(path), _VERSION.search(text)
            if hit:
                self._add("npm", hit[1], version[1] if version else "")
        elif path == DPKG_STATUS or path.startswith(_DISTROLESS):
            self._add_all("dpkg", _stanzas(text, "Package: ", "Version: "))
        else:
            self._add_all("apk", _stanzas(text, "P:", "V:"))

    def packages(self) -> tuple[Package, ...]:
        """Sorted. The lists of dpkg and apk tell of the whole image as it was then, not of the layer alone."""
        return tuple(sorted(self._found))

    def _add_all(self, manager: str, found: Iterator[tuple[str, str]]) -> None:
        for name, version in found:
            self._add(manager, name, version)

    def _add(self, manager: str, name: str, version: str) -> None:
        if len(self._found) < self._most:
            self._found[manager, name[:_LONGEST], version[:_LONGEST]] = None


def _stanzas(text: str, name_mark: str, version_mark: str) -> Iterator[tuple[str, str]]:
    """(name, version) of each stanza that has both, but for packages that dpkg has removed."""
    name = version = ""
    installed = True
    for line in (*text.split("\n"), ""):
        if line.startswith(name_mark):
            name = line[len(name_mark) :].strip()
        elif line.startswith(version_mark):
            version = line[len(version_mark) :].strip()
        elif line.startswith("Status: "):
            installed = line.endswith(" installed")
        elif not line:
            if name and version and installed:
                yield name, version
            name = version = ""
            installed = True


def as_json(packages: tuple[Package, ...]) -> list[list[str]]:
    return [list(package) for package in packages]


def from_json(rows: list[list[str]]) -> tuple[Package, ...]:
    return tuple((str(manager), str(name), str(version)) for manager, name, version in rows)
