"""From an address and a ref to one commit in a bare repository of ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from listings.addresses import GitAddress
from listings.problems import ProblemError
from listings.reports import Evidence
from workers.sources.git.access import Secret
from workers.sources.git.errors import problem_of
from workers.sources.git.runner import Git, GitFailed
from workers.sources.guard import Way

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHOWN_REFS = 30
#: Bytes of a server's list of refs: some 400,000 of them.
_MOST_REFS = 32 << 20
#: How servers say that they give only what a ref leads to, or only everything.
_NOT_SINGLY = ("not our ref", "unadvertised object", "does not support shallow", "no such remote ref",
               "couldn't find remote ref", "shallow")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Remote:
    """One repository of a source: the version's own, or a submodule."""

    git: Git
    way: Way
    address: GitAddress
    secret: Secret | None

    def fetch(self, repository: Path, ref: str, commit: str) -> str:
        """Fetch into a new bare ``repository`` the ``commit`` if it is given, else what ``ref`` (or HEAD) leads to.

        Returns the full commit id. Raises ProblemError GIT-*, SOURCE-ADDRESS-FORBIDDEN, SOURCE-TOO-LARGE; StepStopped.
        """
        pinned = commit or (ref.lower() if _COMMIT.fullmatch(ref.lower()) else "")
        wanted, example = (pinned, pinned) if pinned else self._find(ref)
        kind = "sha256" if len(example) == 64 else "sha1"
        try:
            self.git.run("init", "--quiet", "--bare", "--template=", f"--object-format={kind}", str(repository))
            return self._fetch(repository, wanted, pinned, is_recorded=bool(commit))
        except GitFailed as error:
            raise self.problem(error) from error

    def problem(self, error: GitFailed) -> ProblemError:
        return problem_of(error, self.address, self.secret, self.way)

    def _find(self, ref: str) -> tuple[str, str]:
        """The full name of the ref, and the id behind it. A branch comes before a tag of the same name, as for
        ``git clone --branch``."""
        names = ["HEAD"] if not ref else [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
        there = self._list(*names)
        for name in names:
            if name in there:
                return name, there[name]
        everything = self._list()
        if not everything:
            raise ProblemError("GIT-EMPTY", url=str(self.address))
        known = [name.removeprefix("refs/heads/").removeprefix("refs/tags/") for name in everything
                 if name.startswith(("refs/heads/", "refs/tags/")) and not name.endswith("^{}")]  # fmt: skip
        more = f" and {len(known) - _SHOWN_REFS} more" if len(known) > _SHOWN_REFS else ""
        evidence = Evidence(", ".join(known[:_SHOWN_REFS]) + more, label="Branches and tags there")
        shown = ref or "HEAD"
        raise ProblemError("GIT-REF-UNKNOWN", evidence=(evidence,), url=str(self.address), ref=shown)

    def _list(self, *names: str) -> dict[str, str]:
        try:
            answer = self.git.run("ls-remote", "--quiet", "--", self.address.url, *names, most=_MOST_REFS)
        except GitFailed as error:
            raise self.problem(error) from error
        lines = answer.decode("utf-8", "replace").splitlines()
        return {name: found for found, _, name in (line.partition("\t") for line in lines)}

    def _fetch(self, repository: Path, wanted: str, pinned: str, *, is_recorded: bool) -> str:
        fetch, url = ("fetch", "--no-tags", "--progress"), self.address.url
        try:
            self._git(repository, *fetch, "--depth=1", "--", url, wanted)
            return self._commit(repository, "FETCH_HEAD")
        except GitFailed as error:
            if not error.says(*_NOT_SINGLY):
                raise
        if not pinned:
            self._git(repository, *fetch, "--", url, wanted)
            return self._commit(repository, "FETCH_HEAD")
        self.git.note("The server does not give this commit alone, so its branches and tags are fetched.")
        self._git(repository, *fetch, "--", url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        try:
            return self._commit(repository, pinned)
        except GitFailed as error:
            note = ", which the version was made from" if is_recorded else ""
            evidence = tuple(Evidence(line, label="git") for line in error.lines)
            raise ProblemError(
                "GIT-COMMIT-GONE", evidence=evidence, url=str(self.address), commit=pinned, pinned=note
            ) from error

    def _commit(self, repository: Path, name: str) -> str:
        return self._git(repository, "rev-parse", "--verify", f"{name}^{{commit}}").decode().strip()

    def _git(self, repository: Path, *arguments: str) -> bytes:
        return self.git.run(f"--git-dir={repository}", *arguments)
