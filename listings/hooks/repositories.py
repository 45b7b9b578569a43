"""Whether a sender speaks of the repository that a listing is built from."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def path_of(git_url: str) -> str:
    """The path of ``https://host/path.git``, ``ssh://git@host/path.git`` or ``git@host:path.git``, without ``.git``."""
    path = git_url.partition("://")[2].partition("/")[2] if _SCHEME.match(git_url) else git_url.partition(":")[2]
    return path.strip("/").removesuffix(".git")


def is_same(full_name: str, git_url: str) -> bool:
    """Whether ``full_name`` (owner/name) is the end of the address's path; code hosts do not tell case apart."""
    path, name = path_of(git_url).casefold(), full_name.strip("/").removesuffix(".git").casefold()
    return bool(name) and (path == name or path.endswith(f"/{name}"))
