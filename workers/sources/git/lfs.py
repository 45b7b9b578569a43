"""Files of Git LFS: found by their attribute, and fetched by LFS's own API (git-lfs, docs/api, Batch, basic transfers).

The program git-lfs is not used: as every Go program it speaks to loopback addresses without asking a proxy, and where
it goes is for the seller's server to say. Here each request goes through the guard.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from listings.addresses import HTTPS, SSH, GitAddress, parse_git
from listings.problems import ProblemError
from listings.reports import Evidence
from workers.sources.git import over_ssh
from workers.sources.git.access import Secret
from workers.sources.git.errors import auth_refused
from workers.sources.git.remote import Remote
from workers.sources.git.runner import GitFailed
from workers.sources.git.tree import LINK, SUBMODULE, Blobs, Entry
from workers.sources.members import CHUNK, readable

TYPE = "application/vnd.git-lfs+json"
TIMEOUT = (30, 60)
BATCH = 100
MAX_ANSWER = 8 << 20
#: git-lfs, specification of the pointer: shorter than this, first the version, then oid and size.
MAX_POINTER = 1024
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-.*\n)*oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,15})\n?"
)


@dataclass(frozen=True, slots=True)
class Pointer:
    path: str
    oid: str
    size: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the batch API is, and the headers that it wants."""

    address: GitAddress
    headers: Mapping[str, str]
    secret: Secret | None


def pointers(remote: Remote, repository: Path, commit: str, entries: Iterable[Entry]) -> list[Pointer]:
    """The files that the repository's attributes give to LFS, and that are pointers indeed. Raises GitFailed."""
    files = [entry for entry in entries if entry.mode not in (LINK, SUBMODULE)]
    if not any(entry.path.rpartition("/")[2] == ".gitattributes" for entry in files):
        return []
    small = {entry.path: entry for entry in files if 100 < entry.size < MAX_POINTER}
    kept = _kept_in_lfs(remote, repository, commit, list(small))
    found = []
    with Blobs(remote.git, repository) as blobs:
        for path in kept:
            match = _POINTER.fullmatch(blobs.read(small[path].oid, MAX_POINTER))
            if match:
                found.append(Pointer(path, match[1].decode(), int(match[2])))
    return found


def _kept_in_lfs(remote: Remote, repository: Path, commit: str, paths: list[str]) -> list[str]:
    """Those with the attribute ``filter=lfs``. An index is made for it: attributes are read from there."""
    git, where = remote.git, f"--git-dir={repository}"
    git.run(where, "read-tree", commit)
    asked = repository / "slipway-paths"
    asked.write_bytes(b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in paths))
    with asked.open("rb") as given:
        told = git.run(where, "check-attr", "--cached", "-z", "--stdin", "filter", given=given)
    fields = told.decode("utf-8", "surrogateescape").split("\0")
    return [path for path, value in zip(fields[0::3], fields[2::3], strict=False) if value == "lfs"]


def fetch(remote: Remote, repository: Path, commit: str, wanted: list[Pointer], folder: Path) -> dict[str, Path]:
    """Download ``wanted`` to ``folder``, each object once. Returns the file for each path.

    Raises ProblemError GIT-LFS-MISSING, GIT-LFS-DAMAGED, GIT-AUTH-REFUSED, GIT-UNREACHABLE, SOURCE-ADDRESS-FORBIDDEN,
    GIT-DISK-FULL; StepStopped.
    """
    folder.mkdir(exist_ok=True)
    by_oid = {pointer.oid: pointer for pointer in wanted}
    size = readable(sum(pointer.size for pointer in by_oid.values()))
    remote.git.note(f"Git LFS: {len(by_oid)} objects, {size}")
    missing = [pointer for pointer in by_oid.values() if not (folder / pointer.oid).exists()]
    with remote.way.session() as session:
        client = _Client(remote, session, _endpoint(remote, repository, commit))
        for start in range(0, len(missing), BATCH):
            client.download(missing[start : start + BATCH], folder)
    return {pointer.path: folder / pointer.oid for pointer in wanted}


def _endpoint(remote: Remote, repository: Path, commit: str) -> Endpoint:
    """.lfsconfig's ``lfs.url``, else the place beside the repository (git-lfs, docs/api, Server Discovery)."""
    address, secret = remote.address, remote.secret
    configured = ""
    with suppress(GitFailed):
        told = remote.git.run(f"--git-dir={repository}", "config", f"--blob={commit}:.lfsconfig", "--get", "lfs.url")
        configured = told.decode("utf-8", "replace").strip()
    if configured:
        try:
            address = parse_git(configured, http_hosts=remote.way.listed)
        except ProblemError as error:
            detail = "the address of its server in .lfsconfig is not one that is fetched from"
            raise ProblemError("GIT-LFS-MISSING", path=".lfsconfig", detail=detail) from error
        if address.scheme != SSH:
            return Endpoint(address, {}, secret)
    path = address.path.lstrip("/") if address.is_scp else address.path
    if address.scheme == SSH:
        told_by_ssh = _authenticate(remote, address)
        if told_by_ssh is not None:
            return told_by_ssh
        address = GitAddress(HTTPS, address.host, None, f"/{path.lstrip('/')}")
    path = "/" + path.strip("/")
    path = path if path.endswith(".git") else f"{path}.git"
    return Endpoint(GitAddress(address.scheme, address.host, address.port, f"{path}/info/lfs"), {}, secret)


def _authenticate(remote: Remote, address: GitAddress) -> Endpoint | None:
    """Ask over ssh (git-lfs, docs/api, Authentication); None where the server does not know the command."""
    port = ["-p", str(address.port)] if address.port else []
    command = f"git-lfs-authenticate {shlex.quote(address.path)} download"
    try:
        told = remote.git.run_program(over_ssh.COMMAND, *port, f"{address.user}@{address.host}", command)
        answer = json.loads(told)
        where = parse_git(answer["href"], http_hosts=remote.way.listed)
        headers = {str(key): str(value) for key, value in (answer.get("header") or {}).items()}
    except (GitFailed, ValueError, KeyError, TypeError, AttributeError, ProblemError):
        return None
    return Endpoint(where, headers, None)


@dataclass(slots=True)
class _Client:
    remote: Remote
    session: requests.Session
    endpoint: Endpoint

    def download(self, wanted: list[Pointer], folder: Path) -> None:
        actions = self._batch(wanted)
        for pointer in wanted:
            self._one(pointer, actions.get(pointer.oid), folder)

    def _batch(self, wanted: list[Pointer]) -> dict[str, Any]:
        """What the server says of each object, by its oid."""
        address = self.endpoint.address
        body = {
            "operation": "download", "transfers": ["basic"], "hash_algo": "sha256",
            "objects": [{"oid": pointer.oid, "size": pointer.size} for pointer in wanted],
        }  # fmt: skip
        first = wanted[0].path
        headers = {"Accept": TYPE, "Content-Type": TYPE, **self.endpoint.headers}
        url = f"{address.url}/objects/batch"
        try:
            with self.session.post(
                url, data=json.dumps(body), headers=headers, auth=self._auth(address), timeout=TIMEOUT, stream=True
            ) as answer:
                if answer.status_code in (401, 403):
                    raise auth_refused(address, self.endpoint.secret, ())
                if answer.status_code != 200:
                    detail = f"{address.site} answers with status {answer.status_code} instead of a list of downloads"
                    raise ProblemError("GIT-LFS-MISSING", path=first, detail=detail)
                return {str(each["oid"]): each for each in json.loads(self._short(answer))["objects"]}
        except requests.RequestException as error:
            raise self._broken(address.site, error) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            detail = f"{address.site} answers with something else than a list of downloads"
            raise ProblemError("GIT-LFS-MISSING", path=first, detail=detail) from error

    def _short(self, answer: requests.Response) -> bytes:
        """An answer that fits into memory. Raises ValueError if it does not."""
        content = bytearray()
        for chunk in answer.iter_content(CHUNK):
            self.remote.git.stop.check()
            content += chunk
            if len(content) > MAX_ANSWER:
                raise ValueError("too long")
        return bytes(content)

    def _one(self, pointer: Pointer, told: Any, folder: Path) -> None:
        try:
            failure = told.get("error") if isinstance(told, dict) else {"message": "the server does not mention it"}
            if failure:
                said = self.remote.git.clean(str(failure.get("message", failure.get("code", ""))))[:200]
                detail = f"{self.endpoint.address.site} does not have it"
                evidence = (Evidence(said, label="Git LFS server"),)
                raise ProblemError("GIT-LFS-MISSING", evidence=evidence, path=pointer.path, detail=detail)
            action = told["actions"]["download"]
            href, header = str(action["href"]), dict(action.get("header") or {})
            address = parse_git(re.split(r"[?#]", href, maxsplit=1)[0], http_hosts=self.remote.way.listed)
            # The host as it was judged: requests may read the name that was given as another one (ß).
            href = urlsplit(href.strip())._replace(netloc=address.site).geturl() if address.scheme != SSH else href
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            detail = "the server gives no address for it"
            raise ProblemError("GIT-LFS-MISSING", path=pointer.path, detail=detail) from error
        except ProblemError as error:
            if error.code.startswith("GIT-"):
                raise
            detail = "the server gives an address for it that is not fetched from"
            raise ProblemError("GIT-LFS-MISSING", path=pointer.path, detail=detail) from error
        self._save(pointer, address, href, {str(key): str(value) for key, value in header.items()}, folder)

    def _save(self, pointer: Pointer, address: GitAddress, href: str, headers: Mapping[str, str], folder: Path) -> None:
        target, digest, size = folder / pointer.oid, hashlib.sha256(), 0
        has_own = any(name.lower() == "authorization" for name in headers)
        auth = None if has_own or "?" in href else self._auth(address)
        try:
            with (
                self.session.get(href, headers=headers, auth=auth, timeout=TIMEOUT, stream=True) as answer,
                target.open("wb") as file,
            ):
                if answer.status_code != 200:
                    detail = f"{address.site} answers with status {answer.status_code} when asked for it"
                    raise ProblemError("GIT-LFS-MISSING", path=pointer.path, detail=detail)
                for chunk in answer.iter_content(CHUNK):
                    self.remote.git.stop.check()
                    size += len(chunk)
                    if size > pointer.size:
                        break
                    digest.update(chunk)
                    file.write(chunk)
        except requests.RequestException as error:
            raise self._broken(address.site, error) from error
        except OSError as error:
            raise ProblemError("GIT-DISK-FULL") from error
        if size != pointer.size or digest.hexdigest() != pointer.oid:
            target.unlink(missing_ok=True)
            raise ProblemError(
                "GIT-LFS-DAMAGED", path=pointer.path, size=pointer.size, oid=pointer.oid, host=address.site
            )

    def _auth(self, address: GitAddress) -> tuple[str, str] | None:
        """The token, for its own host only."""
        secret = self.remote.secret
        if secret is None or secret.is_key or secret.site != address.site:
            return None
        return secret.username, secret.text

    def _broken(self, site: str, error: requests.RequestException) -> ProblemError:
        """What a request that got no answer means."""
        self.remote.git.stop.check()
        self.remote.way.raise_if_refused()
        failures = self.remote.way.failures
        if isinstance(error, requests.exceptions.SSLError):
            return ProblemError("GIT-TLS", host=site, reason="its certificate is not trusted")
        if failures:
            return ProblemError("GIT-UNREACHABLE", host=failures[-1].host, reason=failures[-1].reason)
        return ProblemError("GIT-UNREACHABLE", host=site, reason=f"the connection broke ({type(error).__name__})")
