"""Of which files a layer's reading looks at the content, and what for. The cache of a layer serves every image that has
it, so this goes by path and size alone, never by an image's configuration."""

from __future__ import annotations

import re
from enum import Enum, auto

from workers.images.credentials import Secret, find_in_file, find_in_text, is_credentials_file
from workers.images.facts import FileSecret
from workers.images.limits import Limits
from workers.images.packages import Package, PackageList, holds_database
from workers.images.text import printable

#: Kept whole: what tells the operating system, and the accounts that USER names.
WANTED = frozenset(
    {
        "etc/os-release",
        "usr/lib/os-release",
        "etc/lsb-release",
        "etc/debian_version",
        "etc/alpine-release",
        "etc/redhat-release",
        "etc/centos-release",
        "etc/oracle-release",
        "etc/system-release",
        "etc/passwd",
        "etc/group",
    }
)
_SCRIPT_ENDS = (".py", ".sh", ".bash", ".R", ".pl", ".rb", ".js")
#: Where packages lie, not what a seller writes to start a container.
_FOREIGN = (
    "usr/lib/", "usr/lib32/", "usr/lib64/", "usr/share/", "usr/include/", "usr/local/lib/", "usr/local/share/",
    "usr/local/cuda", "lib/", "lib64/", "etc/", "proc/", "sys/", "dev/", "boot/", "var/lib/", "var/cache/",
    "opt/conda/", "opt/nvidia/", "usr/sbin/", "sbin/",
)  # fmt: skip
_FOREIGN_PARTS = re.compile(r"/(?:site-packages|dist-packages|node_modules|conda|lib/python[0-9.]+|\.git)/")


class Purpose(Enum):
    TEXT = auto()  # kept
    SCRIPT = auto()  # kept where it is a script, within the layer's allowance
    CREDENTIALS = auto()  # looked through for credentials, not kept
    PACKAGES = auto()  # a package manager's own list, taken apart


def purpose(path: str, executable: bool) -> Purpose | None:
    """Why the file's content is wanted, or None."""
    if path in WANTED:
        return Purpose.TEXT
    name = path.rpartition("/")[2]
    if holds_database(path):
        return Purpose.PACKAGES
    if is_credentials_file(path):
        return Purpose.CREDENTIALS
    if name.endswith(_SCRIPT_ENDS) or (executable and "." not in name):
        foreign = path.startswith(_FOREIGN) or _FOREIGN_PARTS.search(f"/{path}")
        return None if foreign else Purpose.SCRIPT
    return None


class Texts:
    """What a layer's reading keeps of its files' content. ``begin`` comes before ``take``, file by file."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._packages = PackageList(limits.packages)
        self._scripts_left = limits.scripts
        self._purpose: Purpose | None = None
        self.contents: dict[str, str] = {}
        self.secrets: list[FileSecret] = []

    def begin(self, path: str, size: int, executable: bool) -> int:
        """How many of the file's bytes are wanted."""
        self.contents.pop(path, None)
        self._packages.path(path)
        self._purpose = purpose(path, executable)
        if self._purpose is None:
            return 0
        most = self._limits.database if self._purpose is Purpose.PACKAGES else self._limits.wanted
        return size if size <= most else 0

    def take(self, path: str, content: bytes) -> None:
        if self._purpose is Purpose.SCRIPT and not self._is_kept_script(path, content):
            return
        text = printable(content.decode("utf-8", "replace"))
        match self._purpose:
            case Purpose.PACKAGES:
                self._packages.content(path, text)
            case Purpose.CREDENTIALS:
                self._note(path, find_in_file(path, text))
            case Purpose.SCRIPT:
                self._note(path, find_in_text(text))
                self.contents[path] = text
            case _:
                self.contents[path] = text

    def link(self, target: str, path: str) -> None:
        """A hard link within the layer: the same content under another name."""
        text = self.contents.get(target)
        if text is not None and len(text) <= self._scripts_left:
            self._scripts_left -= len(text)
            self.contents[path] = text

    def packages(self) -> tuple[Package, ...]:
        return self._packages.packages()

    def _is_kept_script(self, path: str, content: bytes) -> bool:
        if not path.endswith(_SCRIPT_ENDS) and not content.startswith((b"#!", b"\xef\xbb\xbf")):
            return False
        if len(content) > self._scripts_left:
            return False
        self._scripts_left -= len(content)
        return True

    def _note(self, path: str, found: list[Secret]) -> None:
        for secret in found[: self._limits.secrets - len(self.secrets)]:
            self.secrets.append(FileSecret(path, secret.line, secret.what, secret.certain))
