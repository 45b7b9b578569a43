"""Submodules: which repository stands behind each, by .gitmodules (gitmodules(5))."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from listings.addresses import GitAddress, parse_git, without_secret
from listings.problems import ProblemError, fill, get
from workers.sources.git.runner import Git, GitFailed

FILE = ".gitmodules"
MAX_DEPTH = 8
MAX_SUBMODULES = 100
#: Bytes of what .gitmodules says: each line of it is kept.
_MOST = 4 << 20


def urls(git: Git, repository: Path, commit: str) -> dict[str, str]:
    """The address of each submodule as .gitmodules gives it, by its path. Raises ProblemError GIT-SUBMODULE."""
    pattern = r"^submodule\..*\.(path|url)$"
    try:
        blob = f"--blob={commit}:{FILE}"
        listed = git.run(f"--git-dir={repository}", "config", blob, "-z", "--get-regexp", pattern, most=_MOST)
    except GitFailed as error:
        if error.code == 1:  # nothing matches
            return {}
        detail = "is described by a .gitmodules that git cannot read"
        raise ProblemError("GIT-SUBMODULE", path=FILE, detail=detail) from error
    found: dict[str, dict[str, str]] = {}
    for line in listed.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = line.partition("\n")
        name, _, what = key.rpartition(".")
        found.setdefault(name, {})[what] = value
    return {one["path"].rstrip("/"): one["url"] for one in found.values() if "path" in one and "url" in one}


def address_of(path: str, url: str, parent: GitAddress, http_hosts: Collection[str]) -> GitAddress:
    """Where the submodule at ``path`` is; a ``url`` that begins with ./ or ../ counts from ``parent``.

    Raises ProblemError GIT-SUBMODULE-ADDRESS.
    """
    try:
        return parse_git(_absolute(path, url, parent), http_hosts=http_hosts)
    except ProblemError as error:
        if error.code.startswith("GIT-"):
            raise
        problem = get(error.code)
        detail = fill(problem.cause, error.report.params).rstrip(".")
        shown = without_secret(url)[:200]
        raise ProblemError("GIT-SUBMODULE-ADDRESS", path=path, url=shown, detail=_small(detail)) from error


def _absolute(path: str, url: str, parent: GitAddress) -> str:
    if not url.startswith(("./", "../")):
        return url
    parts = [part for part in parent.path.split("/") if part]
    for step in url.rstrip("/").split("/"):
        if step == ".." and parts:
            parts.pop()
        elif step == "..":
            detail = "it leads above the host's root"
            raise ProblemError("GIT-SUBMODULE-ADDRESS", path=path, url=url[:200], detail=detail)
        elif step not in (".", ""):
            parts.append(step)
    head = parent.url.removesuffix(parent.path)
    return head + ("/" if parent.path.startswith("/") else "") + "/".join(parts)


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]
