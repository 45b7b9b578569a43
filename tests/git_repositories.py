"""Bare Git repositories for tests, and what a seller does with them: commits, tags, links, submodules, LFS pointers."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "Sally", "GIT_AUTHOR_EMAIL": "sally@example.com", "GIT_COMMITTER_NAME": "Sally",
    "GIT_COMMITTER_EMAIL": "sally@example.com", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
}  # fmt: skip
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"


def git(*arguments: str, cwd: Path, given: bytes | None = None, **env: str) -> str:
    """Run git as the seller would. Raises CalledProcessError, with git's words in ``stderr``."""
    ran = subprocess.run(
        ["git", *arguments], cwd=cwd, input=given, capture_output=True, check=True, env=os.environ | IDENTITY | env
    )
    return ran.stdout.decode().strip()


@dataclass
class Repository:
    """A bare repository at ``path``, and a work tree beside it that pushes to it. ``url`` is where it is served."""

    path: Path
    url: str
    lfs_objects: Path

    @property
    def work(self) -> Path:
        return self.path.with_suffix(".work")

    def make(self, object_format: str = "sha1") -> Repository:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kind = f"--object-format={object_format}"
        git("init", "-q", "--bare", "-b", "main", kind, str(self.path), cwd=self.path.parent)
        git("init", "-q", "-b", "main", kind, str(self.work), cwd=self.path.parent)
        return self

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "Work", branch: str = "main") -> str:
        """Write ``files`` (None removes one), commit all, push. Returns the commit's id."""
        if git("branch", "--list", branch, cwd=self.work):
            git("checkout", "-q", branch, cwd=self.work)
        else:
            git("checkout", "-q", "-B", branch, cwd=self.work)
        for name, content in files.items():
            place = self.work / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                place.unlink()
            else:
                place.write_bytes(content.encode() if isinstance(content, str) else content)
        git("add", "-A", "-f", cwd=self.work)
        return self._push(message, branch)

    def link(self, name: str, target: str) -> None:
        """A symbolic link, part of the next commit."""
        (self.work / name).symlink_to(target)

    def submodule(self, path: str, url: str, commit: str, branch: str = "main") -> str:
        """Commit a submodule as ``git submodule add`` would, whatever its address."""
        described = self.work / ".gitmodules"
        text = described.read_text() if described.exists() else ""
        described.write_text(f'{text}[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n')
        (self.work / path).mkdir(parents=True)
        git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}", cwd=self.work)
        git("add", ".gitmodules", cwd=self.work)
        return self._push(f"Submodule {path}", branch)

    def lfs_pointer(self, content: bytes, *, stored: bool = True) -> str:
        """The pointer that stands for ``content`` in a commit; the object is put into the server's store."""
        oid = hashlib.sha256(content).hexdigest()
        if stored:
            self.lfs_objects.mkdir(parents=True, exist_ok=True)
            (self.lfs_objects / oid).write_bytes(content)
        return _POINTER.format(oid=oid, size=len(content))

    def tag(self, name: str, *, annotated: bool = False) -> None:
        git("tag", *(["-a", "-m", name] if annotated else []), name, cwd=self.work)
        git("push", "-q", str(self.path), f"refs/tags/{name}", cwd=self.work)

    def configure(self, name: str, value: str) -> None:
        git("config", name, value, cwd=self.path)

    def forget(self, commit: str) -> None:
        """Rewind main to before ``commit`` and collect the garbage: nobody has it any more."""
        git("reset", "-q", "--hard", f"{commit}^", cwd=self.work)
        git("push", "-q", "-f", str(self.path), "HEAD:refs/heads/main", cwd=self.work)
        git("-c", "gc.pruneExpire=now", "gc", "-q", "--prune=now", cwd=self.path)

    def _push(self, message: str, branch: str) -> str:
        git("commit", "-q", "--allow-empty", "-m", message, cwd=self.work)
        git("push", "-q", "-f", str(self.path), f"HEAD:refs/heads/{branch}", cwd=self.work)
        return git("rev-parse", "HEAD", cwd=self.work)
