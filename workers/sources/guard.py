"""The way out for everything that a seller names: one forward proxy that reaches public addresses only.

    with guard.open() as way:
        subprocess.run([...], env={**base, **way.environment()})   # git, curl, ssh by a ProxyCommand
        way.session().get(url)                                      # a requests.Session through it
        way.raise_if_refused()                                      # ProblemError SOURCE-ADDRESS-FORBIDDEN

The proxy listens on 127.0.0.1 for as long as the block lasts, behind a random password. It resolves each name itself,
judges every address, and connects to an address that it judged: a name that answers differently the next moment, a
redirect, a submodule or a link in an answer gains nothing. Hosts that the operator lists in SLIPWAY_SOURCE_ALLOW_HOSTS
are not judged, and only they may be spoken to without TLS. What was refused or failed is kept in ``refusals`` and
``failures``, because the client only learns a status.

Go's programs (skopeo, git-lfs) never ask a proxy for ``localhost`` and loopback addresses, whatever the environment
says. So none of them may be led by what a seller's server answers (redirects, sign-in addresses, download links):
use ``session()`` there.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests
from django.conf import settings

from listings.addresses import is_listed, listed_hosts
from listings.problems import ProblemError
from listings.reports import Evidence
from workers.sources import guard_addresses
from workers.sources.guard_proxy import Proxy

CONNECT_SECONDS = 15.0

#: (host, port) -> addresses as text. Raises OSError for a name that does not resolve.
Resolver = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """``address`` is what the host resolved to; empty where the host was refused without being resolved."""

    host: str
    port: int
    address: str
    reason: str

    def problem(self) -> ProblemError:
        shown = f" ({self.address})" if self.address and self.address != self.host else ""
        evidence = Evidence(f"{self.host}:{self.port} → {self.address or 'not resolved'}: {self.reason}", label="Guard")
        return ProblemError(
            "SOURCE-ADDRESS-FORBIDDEN", evidence=(evidence,), host=self.host, address=shown, reason=self.reason
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """A host that was allowed and could not be reached."""

    host: str
    port: int
    reason: str


def resolve(host: str, port: int) -> list[str]:
    """The system's own answer."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class _Session(requests.Session):
    """requests reads whatever body comes with a redirect, all of it and unpacked, even where none is followed."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is not None:
            resp._content = b""
        return target


@dataclass
class Way:
    """What ``open`` gives. Safe to use from several threads."""

    listed: Collection[str]
    resolver: Resolver
    refusals: list[Refusal] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    url: str = field(default="", repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _cut: Callable[[], None] = field(default=lambda: None, repr=False)

    def cut(self) -> None:
        """Break every connection, now and later: what waits for an answer fails at once. For a step that is to stop."""
        self._cut()

    def environment(self) -> Mapping[str, str]:
        """For a child process: everything by the proxy, with no exception."""
        names = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
        return dict.fromkeys(names, self.url) | {"no_proxy": "", "NO_PROXY": ""}

    def session(self) -> requests.Session:
        """A session that takes nothing from the environment but the operator's certificates."""
        session = _Session()
        session.trust_env = False
        session.proxies = {"http": self.url, "https": self.url}
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True
        return session

    def raise_if_refused(self) -> None:
        """Raises ProblemError SOURCE-ADDRESS-FORBIDDEN for the first refusal."""
        if self.refusals:
            raise self.refusals[0].problem()

    def connect(self, host: str, port: int, *, plain: bool) -> socket.socket | None:
        """For the proxy: a connection to an address that was judged; None once the refusal or failure is noted."""
        host = host.lower().rstrip(".")
        if plain and not is_listed(host, port, self.listed):
            self._refuse(host, port, "", "it is not encrypted (http)")
            return None
        try:
            addresses = self._judge(host, port)
            return _first_connection(addresses, port) if addresses else None
        except OSError as error:
            self._fail(host, port, error.strerror or str(error) or type(error).__name__)
            return None

    def _judge(self, host: str, port: int) -> list[str]:
        """The addresses to connect to; none if one of them is forbidden. Raises OSError if nothing resolves."""
        addresses = self.resolver(host, port)
        if is_listed(host, port, self.listed):
            return addresses
        for address in addresses:
            reason = guard_addresses.forbidden(address)
            if reason and not is_listed(address.partition("%")[0], port, self.listed):
                self._refuse(host, port, address, reason)
                return []
        return addresses

    def _refuse(self, host: str, port: int, address: str, reason: str) -> None:
        with self._lock:
            self.refusals.append(Refusal(host, port, address, reason))

    def _fail(self, host: str, port: int, reason: str) -> None:
        with self._lock:
            self.failures.append(Failure(host, port, reason))


def _first_connection(addresses: list[str], port: int) -> socket.socket:
    """Raises OSError of the last try."""
    last: OSError = OSError("the name has no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), CONNECT_SECONDS)
        except OSError as error:
            last = error
    raise last


@contextmanager
def open(resolver: Resolver | None = None) -> Iterator[Way]:  # noqa: A001 (always written guard.open)
    """A way out for one step. Without a ``resolver``, names are resolved as the system does."""
    way = Way(listed_hosts(settings.SLIPWAY.source_allow_hosts), resolver or resolve)
    password = secrets.token_urlsafe(24)
    with Proxy(password, way.connect) as proxy:
        way.url = f"http://slipway:{password}@127.0.0.1:{proxy.port}"
        way._cut = proxy.cut
        yield way
