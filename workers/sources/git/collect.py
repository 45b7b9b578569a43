"""Which files make up a source: one repository after the other, submodules and LFS files included."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from listings.addresses import GitAddress
from listings.problems import ProblemError
from workers.sources.git import lfs, submodules, tree
from workers.sources.git.remote import Remote
from workers.sources.git.runner import Git, GitFailed
from workers.sources.git.tree import SUBMODULE, Entry, Leaf
from workers.sources.guard import Way
from workers.sources.members import Limits, readable


@dataclass
class Collection:
    """``leaves`` are what lies in ``directory`` (the root if empty), named from there; ``commit`` is the version's."""

    git: Git
    way: Way
    limits: Limits
    directory: str
    leaves: list[Leaf] = field(default_factory=list)
    commit: str = ""
    _bytes: int = 0
    _entries: int = 0
    _repositories: int = 0

    def collect(self, remote: Remote, ref: str, commit: str) -> None:
        """Fetch the version's repository and all that belongs to it. Raises ProblemError; StepStopped."""
        self._add(remote, ref, commit, "", 0)
        if self.directory and not self.leaves:
            raise ProblemError("GIT-DIRECTORY-MISSING", commit=self.commit[:12], directory=self.directory)

    def _add(self, remote: Remote, ref: str, commit: str, prefix: str, depth: int) -> None:
        """``prefix`` is where the repository stands in the version's own: empty, or a path with a slash at its end."""
        repository = self.git.room / f"{self._repositories}.git"
        self._repositories += 1
        found = remote.fetch(repository, ref, commit)
        if not prefix:
            self.commit = found
        try:
            self._name_commit(repository, found)
            inside = self._inside(tree.entries(self.git, repository, found), prefix)
            kept = self._from_lfs(remote, repository, found, inside)
            for entry in inside:
                name = self._name(prefix + entry.path)
                if name:
                    self.leaves.append(Leaf(name, entry, repository, kept.get(entry.path)))
        except GitFailed as error:
            raise remote.problem(error) from error
        self._descend(remote, repository, found, [entry for entry in inside if entry.mode == SUBMODULE], prefix, depth)

    def _name_commit(self, repository: Path, commit: str) -> None:
        subject = self.git.run(f"--git-dir={repository}", "log", "-1", "--format=%s", commit)
        self.git.note(f"Commit {commit}: {subject.decode('utf-8', 'replace').strip()[:200]}")

    def _wants(self, path: str, mode: str) -> bool:
        """Within the directory; or a submodule that the directory lies in."""
        within = not self.directory or path.startswith(f"{self.directory}/")
        return within or (mode == SUBMODULE and (self.directory == path or self.directory.startswith(f"{path}/")))

    def _name(self, path: str) -> str:
        """From the directory; empty for what only leads to it."""
        if not self.directory:
            return path
        return path[len(self.directory) + 1 :] if path.startswith(f"{self.directory}/") else ""

    def _inside(self, entries: Iterable[Entry], prefix: str) -> list[Entry]:
        """Those that are wanted, counted as they come. Raises ProblemError SOURCE-TOO-LARGE; StepStopped."""
        inside: list[Entry] = []
        for entry in entries:
            self.git.stop.check()
            if not self._wants(prefix + entry.path, entry.mode):
                continue
            self._entries += 1
            if self._entries > self.limits.files:
                limit = f"{self.limits.files:,}"
                raise ProblemError("SOURCE-TOO-LARGE", what=f"It has more than {limit} files", limit=limit)
            inside.append(entry)
        self._grow(sum(entry.size for entry in inside))
        return inside

    def _grow(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self.limits.bytes:
            what = f"Its files hold {readable(self._bytes)}"
            raise ProblemError("SOURCE-TOO-LARGE", what=what, limit=readable(self.limits.bytes))

    def _from_lfs(self, remote: Remote, repository: Path, commit: str, inside: list[Entry]) -> dict[str, Path]:
        pointers = lfs.pointers(remote, repository, commit, inside)
        if not pointers:
            return {}
        self._grow(sum(pointer.size for pointer in pointers))
        return lfs.fetch(remote, repository, commit, pointers, self.git.room / "lfs")

    def _descend(
        self, remote: Remote, repository: Path, commit: str, links: list[Entry], prefix: str, depth: int
    ) -> None:
        if not links:
            return
        urls = submodules.urls(self.git, repository, commit)
        for link in links:
            path = prefix + link.path
            url = urls.get(link.path)
            if url is None:
                raise ProblemError("GIT-SUBMODULE", path=path, detail="has no address in .gitmodules")
            if depth == submodules.MAX_DEPTH or self._repositories > submodules.MAX_SUBMODULES:
                most = f"{submodules.MAX_SUBMODULES}, {submodules.MAX_DEPTH} deep"
                detail = f"is one too many: at most {most}, are fetched"
                raise ProblemError("GIT-SUBMODULE", path=path, detail=detail)
            address = submodules.address_of(path, url, remote.address, self.way.listed)
            self.git.note(f"Submodule {path}: {address}")
            self._add(self._remote(remote, address), "", link.oid, f"{path}/", depth + 1)

    def _remote(self, parent: Remote, address: GitAddress) -> Remote:
        return Remote(self.git, self.way, address, parent.secret)
