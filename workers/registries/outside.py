"""A registry that a seller names: spoken to through the guard, its redirects and sign-in places looked at one by one.

``skopeo`` cannot be let at it: Go's HTTP client goes past every proxy for loopback addresses, so a registry's answers
could send it to the worker's own machine.
"""

from __future__ import annotations

import ipaddress
import json
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO, cast
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from listings.addresses import DEFAULT_PORTS, is_listed
from workers.registries.client import NoNetrc, RegistryClient, RegistryError, token_in
from workers.registries.names import Registry
from workers.sources.guard import Way

MAX_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
_ANSWER_LIMIT = 1 << 20
#: What OpenSSL says of a server that speaks no TLS at all.
_NO_TLS = re.compile(r"WRONG_VERSION_NUMBER|HTTP_REQUEST|UNKNOWN_PROTOCOL|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG")
#: Second-level labels below which strangers register names of their own.
_SHARED_LABELS = frozenset({"ac", "co", "com", "edu", "gob", "gov", "gv", "mil", "ne", "net", "nom", "or", "org"})


class Refused(RegistryError):
    """What Slipway will not do for a registry: send the password to another host (``code`` REALM), or follow it to
    where it leads (REDIRECTS)."""


class SignInRefused(RegistryError):
    """The place that gives out tokens turned the account away."""


class TlsFailed(RegistryError):
    """No trusted connection. ``plain``: because the other side speaks no TLS."""

    def __init__(self, message: str, *, plain: bool) -> None:
        super().__init__(0, message)
        self.plain = plain


class OutsideClient(RegistryClient):
    """Raises, besides RegistryError, ProblemError SOURCE-ADDRESS-FORBIDDEN for what the guard refuses.

    ``has_token``: the account was let in, so that a refusal after it is about the repository. ``check`` is called
    before each request, and may raise to stop.
    """

    has_token = False

    def __init__(self, registry: Registry, way: Way, check: Callable[[], None] = lambda: None) -> None:
        super().__init__(registry, way.session())
        self._way, self._check = way, check

    def ping(self) -> None:
        """Speak to the registry at all; any answer will do."""
        super()._send("GET", f"{self.registry.endpoint}/v2/", "", None, {"allow_redirects": False}).close()

    def tags(self, repository: str, count: int) -> list[str]:
        """Some of the repository's tags, at most ``count``; status 404 for no such repository."""
        with self._call("GET", repository, "tags/list", params={"n": count}, stream=True) as answer:
            body = _bounded(answer)
        try:
            return [str(tag)[:128] for tag in (json.loads(body)["tags"] or [])[:count]]
        except (ValueError, LookupError, TypeError, RecursionError):
            return []

    def open_blob(self, repository: str, digest: str, start: int = 0) -> tuple[BinaryIO, bool]:
        """A blob's bytes from ``start`` on, and whether the registry went along: else they are all of it."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        answer = self._call("GET", repository, f"blobs/{digest}", headers=headers, stream=True)
        answer.raw.decode_content = False
        return cast(BinaryIO, answer.raw), answer.status_code == 206

    def _send(
        self, method: str, url: str, scope: str, headers: Mapping[str, str] | None, rest: dict[str, Any]
    ) -> requests.Response:
        home = _origin(url)
        for _ in range(MAX_REDIRECTS + 1):
            answer = super()._send(method, url, scope, headers, rest | {"allow_redirects": False})
            away = _origin(url) != home
            if answer.status_code == 401 and away:
                # Who was only redirected to is told nothing of ours, however it asks.
                answer.close()
                raise RegistryError(502, f"{urlsplit(url).netloc}, where it redirects to, asks for a sign-in")
            if answer.status_code not in _MOVED or "Location" not in answer.headers:
                return answer
            answer.close()
            url = urljoin(url, answer.headers["Location"])
            self._require_secure(url, "REDIRECTS")
            # No sign-in where the registry has sent us away, not even where it is sent back from there.
            scope = "" if _origin(url) != home else scope
            rest = {key: value for key, value in rest.items() if key != "params"}
        raise Refused(0, f"more than {MAX_REDIRECTS} in a row", "REDIRECTS")

    def _once(self, method: str, url: str, headers: Mapping[str, str], rest: dict[str, Any]) -> requests.Response:
        self._check()  # a connection that was cut because the step is to stop is not made again
        refused, failed = len(self._way.refusals), len(self._way.failures)
        try:
            answer = super()._once(method, url, headers, rest)
        except requests.exceptions.SSLError as error:
            self._explain(refused, failed)
            raise _tls(error) from error
        except requests.ConnectionError:
            self._explain(refused, failed)
            raise
        if answer.status_code == 403 and url.startswith("http:"):
            self._explain(refused, failed)  # the guard's own answer looks like the registry's
        return answer

    def _explain(self, refused: int, failed: int) -> None:
        """Raise what the guard knows better than the client of a proxy."""
        if len(self._way.refusals) > refused:
            raise self._way.refusals[refused].problem()
        if len(self._way.failures) > failed:
            raise requests.ConnectionError(self._way.failures[failed].reason)

    def _require_secure(self, url: str, code: str) -> None:
        scheme, host, port = _origin(url)
        if scheme != "https" and not is_listed(host, port, self._way.listed):
            raise Refused(0, f"{scheme}://{host} is not HTTPS", code)

    def _token(self, asked: Mapping[str, str], scope: str) -> str:
        who, realm = self.registry.credentials, asked.get("realm", "")
        self._require_secure(realm, "REALM")
        _, host, port = _origin(realm)
        place = urlsplit(realm).netloc[:255]
        if who and not (may_sign_in_at(self.registry.endpoint, realm) or is_listed(host, port, self._way.listed)):
            raise Refused(401, place, "REALM")
        query = {"scope": scope} | ({"service": asked["service"]} if "service" in asked else {})
        sign_in = (who.username, who.password) if who else NoNetrc()
        rest = {"params": query, "auth": sign_in, "allow_redirects": False}
        try:
            with self._once("GET", realm, {"Accept-Encoding": "identity"}, rest) as answer:
                if answer.status_code != 200:
                    said = re.sub(r"\s+", " ", _bounded(answer).decode("utf-8", "replace"))
                    raise SignInRefused(answer.status_code, f"{place}: {answer.status_code} {said}"[:500])
                token = token_in(_bounded(answer))
        except (requests.RequestException, ValueError) as error:
            raise RegistryError(0, f"signing in at {place} failed: {error}"[:500]) from error
        self.has_token = True
        return token


def may_sign_in_at(endpoint: str, realm: str) -> bool:
    """Whether the registry at ``endpoint`` may have its password sent to ``realm``: to itself, or to its own domain.

    Docker Hub (auth.docker.io), GitLab (gitlab.com for registry.gitlab.com) and others sign in beside the registry.
    Raises Refused for what is no web address.
    """
    scheme, host, port = _origin(endpoint)
    realm_scheme, realm_host, realm_port = _origin(realm)
    if realm_scheme == "http" and scheme != "http":
        return False
    if (host, port) == (realm_host, realm_port):
        return True
    with suppress(ValueError):
        ipaddress.ip_address(realm_host)
        return False
    return realm_port == DEFAULT_PORTS[realm_scheme] and _is_one_domain(host, realm_host)


def _is_one_domain(one: str, other: str) -> bool:
    """Whether both names lie in a domain that has one owner."""
    shared: list[str] = []
    for left, right in zip(reversed(one.split(".")), reversed(other.split(".")), strict=False):
        if left != right:
            break
        shared.insert(0, left)
    is_public = len(shared) == 2 and len(shared[1]) == 2 and shared[0] in _SHARED_LABELS
    return len(shared) >= 2 and not is_public


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port. Raises Refused for what is no web address."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in ("https", "http"):
        raise Refused(0, f"{url[:200]!r} is no web address", "REDIRECTS")
    return parts.scheme, host, port or DEFAULT_PORTS[parts.scheme]


def _bounded(answer: requests.Response) -> bytes:
    """At most ``_ANSWER_LIMIT`` bytes of an answer, as sent: none is asked for packed. Raises RegistryError."""
    try:
        return bytes(answer.raw.read(_ANSWER_LIMIT, decode_content=False))
    except urllib3.exceptions.HTTPError as error:
        raise RegistryError(0, f"the answer broke off: {error}"[:300]) from error


def _tls(error: requests.exceptions.SSLError) -> TlsFailed:
    """The innermost words of OpenSSL."""
    inner: Any = error
    while True:
        below = getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)
        if isinstance(inner, ssl.SSLError) or not isinstance(below, Exception):
            break
        inner = below
    verify = getattr(inner, "verify_message", "")
    text = str(verify or inner)
    return TlsFailed(re.sub(r"\s*\(_ssl\.c:\d+\)", "", text)[:300], plain=bool(_NO_TLS.search(str(inner))))
