"""Addresses of sources as people type them: Git repositories, refs, directories, images. Pure.

What is accepted here is safe to hand to ``git`` as one argument and says which host a secret may go to. Whether that
host may be reached at all (private networks, redirects) is known only when its name is resolved, by the worker.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from listings.problems import ProblemError

HTTPS, HTTP, SSH = "https", "http", "ssh"
DEFAULT_PORTS = {HTTPS: 443, HTTP: 80, SSH: 22}
DOCKER_HUB = "docker.io"

_URL_LENGTH, _REF_LENGTH, _DIRECTORY_LENGTH, _NAME_LENGTH = 500, 255, 255, 255  # what columns and registries hold
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\]")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_SSH_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
_SCP = re.compile(r"(?:(?P<user>[^@/:]*)@)?(?P<host>\[[^\]]*\]|[^:/@\[\]]+):(?P<path>.*)")
#: git-check-ref-format(1): what no ref may contain.
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|\.$|/$|^[/.-]|^@$")

# https://github.com/distribution/reference: the grammar that Docker parses.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class GitAddress:
    """``host`` is lower case and ASCII, an IPv6 address without brackets; ``port`` None where it is the scheme's own.

    ``path`` starts with ``/``, except in the form ``user@host:path`` (``is_scp``), where it counts from the account's
    home. ``user`` is the ssh account, empty otherwise: no address holds a secret.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    user: str = ""
    is_scp: bool = False

    @property
    def site(self) -> str:
        """``host`` or ``host:port``: what a credential's host is compared with."""
        return _site(self.host, self.port)

    @property
    def url(self) -> str:
        """The address to clone from."""
        if self.is_scp:
            return f"{self.user}@{_bracketed(self.host)}:{self.path}"
        account = f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{account}{self.site}{self.path}"

    @property
    def web_url(self) -> str:
        """Where a browser finds the repository; empty where that cannot be told."""
        return self.url.removesuffix(".git") if self.scheme == HTTPS else ""

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class ImageReference:
    """``registry`` is ``host`` or ``host:port``; ``tag`` is empty only where there is a ``digest``."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def api_host(self) -> str:
        """Where the registry's API answers; Docker Hub's is not at its name."""
        return "registry-1.docker.io" if self.registry == DOCKER_HUB else self.registry

    @property
    def wanted(self) -> str:
        """What to ask the registry for: the digest where there is one, else the tag."""
        return self.digest or self.tag

    @property
    def short(self) -> str:
        """As people write it: without Docker Hub's name."""
        text = str(self)
        if self.registry != DOCKER_HUB:
            return text
        return text.removeprefix(f"{DOCKER_HUB}/").removeprefix("library/")

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def listed_hosts(text: str) -> frozenset[str]:
    """The hosts of a setting: comma-separated ``name``, ``name:port`` or addresses, in lower case."""
    return frozenset(part.strip().lower().rstrip(".") for part in text.split(",") if part.strip())


def is_listed(host: str, port: int | None, listed: Collection[str]) -> bool:
    """Whether ``host`` itself, or ``host`` with this port, is among ``listed``."""
    return host in listed or _bracketed(host) in listed or (port is not None and _site(host, port) in listed)


def parse_git(text: str, *, http_hosts: Collection[str] = ()) -> GitAddress:
    """The address of a Git repository: ``https://``, ``ssh://`` or ``user@host:path``.

    ``http://`` is taken for ``http_hosts`` only (see ``listed_hosts``). Raises ProblemError ADDRESS-GIT,
    ADDRESS-SCHEME, ADDRESS-SECRET or ADDRESS-HTTP; none of them repeats what was typed, which may hold a password.
    """
    text = text.strip()
    if not text or len(text) > _URL_LENGTH:
        raise _not_git("it is empty" if not text else f"it is longer than {_URL_LENGTH} characters")
    if "::" in text.split("/", 1)[0] and "[" not in text.split("/", 1)[0]:
        raise ProblemError("ADDRESS-SCHEME", scheme=text.split("::", 1)[0][:20])  # git's remote helpers: ext::, fd::
    found = _SCHEME.match(text)
    if found is None:
        return _parse_scp(text)
    scheme = found[1].lower()
    if scheme not in DEFAULT_PORTS:
        raise ProblemError("ADDRESS-SCHEME", scheme=scheme)
    user, site, path = _split_url(text, scheme)
    host, port = _host_and_port(site, scheme)
    if scheme == HTTP and not is_listed(host, port or DEFAULT_PORTS[HTTP], http_hosts):
        raise ProblemError("ADDRESS-HTTP", host=_site(host, port))
    return GitAddress(scheme, host, port, path, user or ("git" if scheme == SSH else ""))


def _split_url(text: str, scheme: str) -> tuple[str, str, str]:
    """The ssh user (or nothing), ``host[:port]`` and the path."""
    if _UNPRINTABLE.search(text):
        raise _not_git("it has a space, a backslash or a character that cannot be printed")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise _not_git("its host cannot be read") from None
    user, at, site = parts.netloc.rpartition("@")
    if at and (scheme != SSH or ":" in user):
        raise ProblemError("ADDRESS-SECRET")
    if at and not _SSH_USER.fullmatch(user):
        raise _not_git("its user name cannot be one")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise _not_git("it has a query or a fragment; branch and directory have fields of their own")
    if not parts.path.strip("/") or parts.path.startswith("//"):
        raise _not_git("it names a host but no repository")
    return user, site, _known_path(parts.path)


def _known_path(path: str) -> str:
    if any(part in (".", "..") for part in path.split("/")):
        raise _not_git("its path has “.” or “..”")
    return path.rstrip("/")


def _parse_scp(text: str) -> GitAddress:
    found = _SCP.fullmatch(text)
    if ":" in text.partition("@")[0] and "@" in text:
        raise ProblemError("ADDRESS-SECRET")  # user:password@host
    if found is None or _UNPRINTABLE.search(text):
        raise _not_git("it starts neither with https:// nor with ssh:// nor has it the form git@host:path")
    if found["user"] is None:
        raise _not_git("it has no scheme; write https:// before it, or git@ for ssh")
    path = found["path"]
    if not _SSH_USER.fullmatch(found["user"]) or not path.strip("/") or path.startswith("-"):
        raise _not_git("it has not the form git@host:path")
    host, _ = _host_and_port(found["host"], SSH)
    return GitAddress(SSH, host, None, _known_path(path), found["user"], is_scp=True)


def _not_git(detail: str) -> ProblemError:
    return ProblemError("ADDRESS-GIT", detail=detail)


def parse_host(text: str, scheme: str = HTTPS) -> str:
    """``host`` or ``host:port`` of what was typed for a credential's host; a whole address will do.

    The port is left out where it is that of ``scheme``. Raises ProblemError ADDRESS-HOST or ADDRESS-SECRET.
    """
    text = text.strip()
    found = _SCHEME.match(text)
    if found is not None and found[1].lower() in DEFAULT_PORTS:
        scheme, text = found[1].lower(), text[found.end() :]
    text = re.split(r"[/?#]", text, maxsplit=1)[0]
    user, _, site = text.rpartition("@")
    if ":" in user:
        raise ProblemError("ADDRESS-SECRET")
    if user and (scp := _SCP.fullmatch(text)) and not scp["path"].isdecimal():
        site = scp["host"]  # git@host:path
    try:
        host, port = _host_and_port(site, scheme)
    except ProblemError:
        raise ProblemError("ADDRESS-HOST", detail="it is no host name") from None
    found_site = _site(host, port)
    return DOCKER_HUB if found_site in ("index.docker.io", "registry-1.docker.io", "hub.docker.com") else found_site


def _host_and_port(site: str, scheme: str) -> tuple[str, int | None]:
    """Raises ProblemError ADDRESS-GIT. The scheme's own port is None."""
    if site.startswith("["):
        literal, bracket, rest = site[1:].partition("]")
        try:
            host = ipaddress.IPv6Address(literal).compressed
        except ValueError:
            raise _not_git("its host is no IPv6 address") from None
        colon, number = rest[:1], rest[1:]
        if not bracket or colon not in ("", ":"):
            raise _not_git("its port cannot be read")
    else:
        name, colon, number = site.partition(":")
        host = _host_name(name)
    if not colon:
        return host, None
    if not re.fullmatch(r"[0-9]{1,5}", number) or not 0 < int(number) < 65536:
        raise _not_git("its port is no number from 1 to 65535")
    return host, None if int(number) == DEFAULT_PORTS[scheme] else int(number)


def _host_name(text: str) -> str:
    """Lower case, ASCII, without the root's dot."""
    text = text.lower().removesuffix(".")
    if not text.isascii():
        try:
            text = text.encode("idna").decode()
        except UnicodeError:
            raise _not_git("its host is no name") from None
    labels = text.split(".")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _not_git("its host is no name")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        # Some resolvers read 2130706433, 0x7f.1 or 127.1 as an address; only the plain form is one here.
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError:
            raise _not_git("its host is no IPv4 address") from None
    return text


def _site(host: str, port: int | None) -> str:
    return f"{_bracketed(host)}:{port}" if port is not None else _bracketed(host)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def without_secret(text: str) -> str:
    """What was typed, with user names and passwords taken out of an address: for showing it again."""
    head, slashes, rest = text.partition("://")
    if not slashes:
        head, rest = "", text
    authority, slash, path = rest.partition("/")
    account, at, site = authority.rpartition("@")
    if not at or (not slashes and ":" not in account) or (head.strip().lower() == SSH and ":" not in account):
        return text
    return f"{head}{slashes}{site}{slash}{path}"


def parse_ref(text: str) -> str:
    """A branch, a tag, a full ref or a commit; empty means the repository's own default branch.

    Raises ProblemError ADDRESS-REF for what git-check-ref-format(1) refuses.
    """
    text = text.strip()
    if len(text) > _REF_LENGTH or (text and _BAD_REF.search(text)):
        raise ProblemError("ADDRESS-REF", ref=text[:80])
    return text


def parse_directory(text: str) -> str:
    """A directory within a source, relative, without ``.`` and closing slash; empty means its root.

    Raises ProblemError ADDRESS-DIRECTORY for one that leads out of it.
    """
    text = text.strip()
    parts = [part for part in text.split("/") if part not in ("", ".")]
    clean = "/".join(parts)
    bad = text.startswith("/") or ".." in parts or ".git" in {part.lower() for part in parts}
    if bad or len(clean) > _DIRECTORY_LENGTH or re.search(r"[\x00-\x1f\x7f\\]", clean):
        raise ProblemError("ADDRESS-DIRECTORY", directory=text[:80])
    return clean


def parse_image(text: str) -> ImageReference:
    """An image as Docker names it; without a host it is Docker Hub's, without tag and digest it is ``latest``.

    Raises ProblemError ADDRESS-IMAGE or ADDRESS-SECRET.
    """
    text = text.strip()
    if _SCHEME.match(text):
        if "@" in text.split("://", 1)[1].split("/", 1)[0]:
            raise ProblemError("ADDRESS-SECRET")
        raise _not_image("it starts with a scheme; write registry/repository:tag")
    name, at, digest = text.partition("@")
    if at and "/" in digest:
        raise ProblemError("ADDRESS-SECRET")  # user:password@registry/repository
    if at and not _DIGEST.fullmatch(digest):
        raise _not_image("what follows “@” is not sha256: and 64 hexadecimal digits")
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        name = head
        if not _TAG.fullmatch(tag):
            raise _not_image("its tag may have letters, digits, “_”, “.” and “-”, at most 128")
    else:
        tag = ""
    registry, repository = _registry_of(name)
    if not _REPOSITORY.fullmatch(repository) or re.fullmatch(r"[0-9a-f]{64}", name):
        raise _not_image("a repository is written in lower case: letters, digits, “.”, “_”, “-”, parted by “/”")
    if len(registry) + 1 + len(repository) > _NAME_LENGTH:
        raise _not_image(f"its name is longer than {_NAME_LENGTH} characters")
    return ImageReference(registry, repository, tag or ("" if digest else "latest"), digest)


def _registry_of(name: str) -> tuple[str, str]:
    """The registry and the repository; a first part without dot, colon or capital is no host, but ``localhost``."""
    first, slash, rest = name.partition("/")
    is_host = slash and (any(sign in first for sign in ".:[") or first == "localhost" or first != first.lower())
    if not is_host:
        return DOCKER_HUB, name if slash else f"library/{name}"
    try:
        host, port = _host_and_port(first, HTTPS)
    except ProblemError:
        raise _not_image("its registry is no host name") from None
    site = _site(host, port)
    if site in ("index.docker.io", DOCKER_HUB):
        return DOCKER_HUB, rest if "/" in rest else f"library/{rest}"
    return site, rest


def _not_image(detail: str) -> ProblemError:
    return ProblemError("ADDRESS-IMAGE", detail=detail)
