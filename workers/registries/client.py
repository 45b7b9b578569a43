"""A small client of the OCI distribution API: manifests, blobs, tags; basic and bearer sign-in.

Source of the protocol: OCI distribution specification 1.1 and Docker registry token authentication.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Self, cast
from urllib.parse import urljoin

import requests
import urllib3

from workers import spans
from workers.registries.names import Registry

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
MANIFEST_TYPES = (
    DOCKER_MANIFEST,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
#: The specification asks registries to take manifests of at least 4 MiB; nobody sensible makes larger ones.
MANIFEST_LIMIT = 4 << 20
#: What is read, as it was sent, of an answer that is only a word: a refusal, a token. One that unpacks to gigabytes, or
#: never ends, costs no more.
ANSWER_LIMIT = 64 << 10
CONNECT_SECONDS, READ_SECONDS, TRIES = 5.0, 10.0, 3
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class RegistryError(Exception):
    """A registry did not do as asked. ``status`` is its HTTP status, or 0 if it could not be spoken to."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest's exact bytes, and what its registry calls them."""

    body: bytes
    media_type: str

    @property
    def digest(self) -> str:
        return digest_of(self.body)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


class RegistryClient:
    """Speaks to one registry. Not shared between threads; close it, or use it in a ``with``."""

    def __init__(self, registry: Registry, session: requests.Session | None = None) -> None:
        self.registry = registry
        self._session = session or requests.Session()
        if session is None:
            # Only what the registry object says signs us in: not a .netrc, not a proxy meant for the internet.
            self._session.trust_env = not registry.plain_http
        self._session.auth = NoNetrc()
        self._tokens: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def manifest(self, repository: str, reference: str) -> Manifest:
        """The manifest under a tag or digest. Raises RegistryError; status 404 if there is none.

        A manifest asked for by digest is checked against it.
        """
        answer = self._call(
            "GET", repository, f"manifests/{reference}", headers={"Accept": ", ".join(MANIFEST_TYPES)}, stream=True
        )
        with answer:
            body = _read(cast(BinaryIO, answer.raw), MANIFEST_LIMIT + 1)
        if len(body) > MANIFEST_LIMIT:
            raise RegistryError(200, f"the manifest of {repository} is larger than {MANIFEST_LIMIT} bytes")
        found = Manifest(body, answer.headers.get("Content-Type", "").partition(";")[0].strip())
        if is_digest(reference) and found.digest != reference:
            raise RegistryError(200, f"the registry answered {found.digest} when asked for {reference}", "DIGEST")
        return found

    def find(self, repository: str, reference: str) -> str | None:
        """The digest under a tag or digest, or None if there is none. Reads no body."""
        try:
            answer = self._call(
                "HEAD", repository, f"manifests/{reference}", headers={"Accept": ", ".join(MANIFEST_TYPES)}
            )
        except RegistryError as error:
            if error.status == 404:
                return None
            raise
        digest = answer.headers.get("Docker-Content-Digest", "")
        return digest if is_digest(digest) else self.manifest(repository, reference).digest

    def has_blob(self, repository: str, digest: str) -> bool:
        try:
            self._call("HEAD", repository, f"blobs/{digest}")
        except RegistryError as error:
            if error.status == 404:
                return False
            raise
        return True

    @contextmanager
    def blob(self, repository: str, digest: str) -> Iterator[BinaryIO]:
        """A blob's bytes as a file, streamed. The reader checks the digest: only it knows when it has read it all."""
        with self._call("GET", repository, f"blobs/{digest}", stream=True) as answer:
            answer.raw.decode_content = False
            yield cast(BinaryIO, answer.raw)

    def small_blob(self, repository: str, digest: str, limit: int) -> bytes:
        """A blob of at most ``limit`` bytes, its digest checked. Raises RegistryError."""
        with self.blob(repository, digest) as source:
            content = _read(source, limit + 1)
        if len(content) > limit:
            raise RegistryError(200, f"blob {digest} is larger than {limit} bytes")
        if digest_of(content) != digest:
            raise RegistryError(200, f"the bytes of blob {digest} have another digest", "DIGEST")
        return content

    def put_blob(self, repository: str, content: bytes) -> str:
        """Store a small blob, unless it is there; returns its digest."""
        digest = digest_of(content)
        if self.has_blob(repository, digest):
            return digest
        start = self._call("POST", repository, "blobs/uploads/", scope="pull,push")
        target = urljoin(f"{self.registry.endpoint}/", start.headers["Location"])
        self._call(
            "PUT",
            repository,
            target,
            params={"digest": digest},
            data=content,
            scope="pull,push",
            headers={"Content-Type": "application/octet-stream"},
        )
        return digest

    def put_manifest(self, repository: str, reference: str, manifest: Manifest) -> str:
        self._call(
            "PUT",
            repository,
            f"manifests/{reference}",
            data=manifest.body,
            scope="pull,push",
            headers={"Content-Type": manifest.media_type},
        )
        return manifest.digest

    def delete_manifest(self, repository: str, digest: str) -> bool:
        """Delete a manifest, and with it every tag on it. False if it was gone already."""
        try:
            self._call("DELETE", repository, f"manifests/{digest}", scope="pull,push,delete")
        except RegistryError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _call(
        self,
        method: str,
        repository: str,
        what: str,
        *,
        scope: str = "pull",
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        **rest: Any,
    ) -> requests.Response:
        name = self.registry.path(repository)
        url = what if "://" in what else f"{self.registry.endpoint}/v2/{name}/{what}"
        scope = f"repository:{name}:{scope}"
        answer = self._send(method, url, scope, headers, rest)
        if answer.status_code == 401 and self._sign_in(answer, scope):
            ending(answer)
            answer = self._send(method, url, scope, headers, rest)
        if answer.status_code >= 400:
            raise _refusal(answer, method, name)
        if not stream:
            ending(answer)
        return answer

    def _send(
        self, method: str, url: str, scope: str, headers: Mapping[str, str] | None, rest: dict[str, Any]
    ) -> requests.Response:
        """The answer, of which nothing but the head is read."""
        sent = dict(headers or {})
        # A blob is checked against its digest as stored; a transfer encoding on top of it would only be in the way.
        sent["Accept-Encoding"] = "identity"
        if scope in self._tokens:
            sent["Authorization"] = self._tokens[scope]
        for turn in range(1, TRIES + 1):
            try:
                return self._once(method, url, sent, rest)
            except (requests.ConnectionError, requests.Timeout) as error:
                if turn == TRIES:
                    raise RegistryError(0, f"{self.registry.worker_host} does not answer: {_reason(error)}") from error
                time.sleep(0.2 * turn)
        raise AssertionError("unreachable")

    def _once(self, method: str, url: str, headers: Mapping[str, str], rest: dict[str, Any]) -> requests.Response:
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        with spans.span("registry"):
            return self._session.request(method, url, headers=headers, stream=True, timeout=timeout, **rest)

    def _sign_in(self, answer: requests.Response, scope: str) -> bool:
        """Answer a 401 as it asks; False if there is nothing (new) to answer with."""
        challenge = answer.headers.get("WWW-Authenticate", "")
        kind = challenge.partition(" ")[0].lower()
        who = self.registry.credentials
        if scope in self._tokens and kind == "basic":
            return False
        if kind == "basic" and who is not None:
            pair = base64.b64encode(f"{who.username}:{who.password}".encode()).decode()
            self._tokens[scope] = f"Basic {pair}"
            return True
        if kind == "bearer":
            self._tokens[scope] = f"Bearer {self._token(dict(_CHALLENGE.findall(challenge)), scope)}"
            return True
        return False

    def _token(self, asked: Mapping[str, str], scope: str) -> str:
        who = self.registry.credentials
        realm = asked.get("realm", "")
        if not realm.startswith(("https://", "http://" if self.registry.plain_http else "https://")):
            raise RegistryError(401, f"{self.registry.worker_host} asks to sign in at {realm!r}, which is not HTTPS")
        query = {"scope": scope} | ({"service": asked["service"]} if "service" in asked else {})
        try:
            answer = self._session.get(
                realm,
                params=query,
                headers={"Accept-Encoding": "identity"},
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                auth=(who.username, who.password) if who else NoNetrc(),
                stream=True,
            )
            if answer.status_code >= 400:
                raise _refusal(answer, "GET", realm)
            return token_in(ending(answer))
        except (requests.RequestException, ValueError) as error:
            raise RegistryError(0, f"signing in at {realm} failed: {_reason(error)}") from error


class NoNetrc(requests.auth.AuthBase):
    """Stands for "no sign-in": with None, requests would look for the host in a .netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def ending(answer: requests.Response) -> bytes:
    """End an answer; what was left of its body, at most ``ANSWER_LIMIT`` bytes and as sent, or nothing if it broke off.

    A connection whose answer was read to its end is used again.
    """
    with answer:
        try:
            return bytes(answer.raw.read(ANSWER_LIMIT, decode_content=False))
        except urllib3.exceptions.HTTPError:
            return b""


def token_in(body: bytes) -> str:
    """The token of a sign-in's answer (Docker registry token authentication). Raises ValueError for no JSON object."""
    try:
        told = json.loads(body)
        return str(told.get("token") or told.get("access_token") or "")
    except (AttributeError, RecursionError) as error:
        raise ValueError("the answer is no JSON object") from error


def _refusal(answer: requests.Response, method: str, name: str) -> RegistryError:
    code, message = "", answer.reason or ""
    with suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
        first = json.loads(ending(answer))["errors"][0]
        code, message = str(first.get("code", ""))[:100], str(first.get("message", ""))[:500] or message
    return RegistryError(answer.status_code, f"{method} {name}: {answer.status_code} {code} {message}".strip(), code)


def _read(source: BinaryIO, size: int) -> bytes:
    try:
        return source.read(size)
    except urllib3.exceptions.HTTPError as error:
        raise RegistryError(0, f"the answer broke off: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The innermost words of a nested connection error, without object addresses."""
    text = str(error.args[0] if error.args else error)
    return re.sub(r"<[^>]*object at 0x[0-9a-f]+>[:,]?\s*", "", text)[:300]
