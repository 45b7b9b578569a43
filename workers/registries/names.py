"""One registry has several names: the engine's, the worker's, and the one that SageMaker is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Credentials:
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Registry:
    """Where a registry is, and what it is called by whom.

    ``endpoint`` is the URL that this worker speaks to, without a path. ``prefix`` goes before every repository
    at that endpoint (empty, or ends in "/"). ``engine_host`` is the host[:port] by which the engine names it.
    ``public_host`` is the host in the names handed to AWS: for ECR that of ``repositoryUri``, whatever endpoint is
    really spoken to.
    """

    endpoint: str
    engine_host: str
    public_host: str
    credentials: Credentials | None = None
    prefix: str = ""

    @property
    def worker_host(self) -> str:
        """host[:port] as this worker names it."""
        return urlsplit(self.endpoint).netloc

    @property
    def plain_http(self) -> bool:
        return urlsplit(self.endpoint).scheme == "http"

    def path(self, repository: str) -> str:
        """The repository's name at the endpoint."""
        return self.prefix + repository

    def worker_reference(self, repository: str, *, tag: str = "", digest: str = "") -> str:
        return _reference(f"{self.worker_host}/{self.path(repository)}", tag, digest)

    def engine_reference(self, repository: str, *, tag: str = "", digest: str = "") -> str:
        return _reference(f"{self.engine_host}/{self.path(repository)}", tag, digest)

    def public_reference(self, repository: str, *, tag: str = "", digest: str = "") -> str:
        return _reference(f"{self.public_host}/{repository}", tag, digest)


def staging() -> Registry:
    """The registry that builds are pushed to, from the settings.

    ``staging_registry_worker`` may carry a scheme; without one, a loopback address is spoken to in plain HTTP (the
    engine does the same) and anything else in HTTPS.
    """
    config = settings.SLIPWAY
    credentials = None
    if config.staging_username:
        credentials = Credentials(config.staging_username, config.staging_password.get_secret_value())
    endpoint = with_scheme(config.staging_registry_worker)
    engine_host = urlsplit(with_scheme(config.staging_registry_engine)).netloc
    return Registry(endpoint, engine_host, engine_host, credentials)


def ecr(repository_uri: str, proxy_endpoint: str, credentials: Credentials) -> tuple[Registry, str]:
    """The registry behind an ECR repository, and the repository's name in it.

    ``repository_uri`` is ECR's ``repositoryUri``, the only name SageMaker accepts; ``proxy_endpoint`` is what
    GetAuthorizationToken says to speak to. Against AWS both have one host, against the stand-in they do not.
    """
    public_host, _, repository = repository_uri.partition("/")
    parts = urlsplit(with_scheme(proxy_endpoint))
    path = parts.path.strip("/")
    endpoint = f"{parts.scheme}://{parts.netloc}"
    return Registry(endpoint, parts.netloc, public_host, credentials, f"{path}/" if path else ""), repository


def with_scheme(address: str) -> str:
    """``address`` as a URL: as given if it has a scheme, else http for loopback and https for the rest."""
    if "://" in address:
        return address.rstrip("/")
    return f"{'http' if _is_loopback(address) else 'https'}://{address.rstrip('/')}"


def _is_loopback(address: str) -> bool:
    host = urlsplit(f"//{address}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _reference(name: str, tag: str, digest: str) -> str:
    if digest:
        return f"{name}@{digest}"
    return f"{name}:{tag}" if tag else name
