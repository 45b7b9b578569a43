"""Deploy keys and host keys in OpenSSH's formats. Pure."""

from __future__ import annotations

import base64
import fnmatch
import re
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
    load_ssh_public_key,
    ssh_key_fingerprint,
)

from listings.problems import ProblemError

_RSA_BITS = 2048
_TEXT_LENGTH = 20_000
#: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT: optional marker, hosts, type, key; a comment may follow.
_LINE = re.compile(r"(?:(@cert-authority|@revoked)\s+)?(\S+)\s+([a-z0-9@.-]+)\s+([A-Za-z0-9+/]+=*)(?:\s.*)?")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """``private`` in OpenSSH's own format, ``public`` as one line with its comment."""

    private: str
    public: str


@dataclass(frozen=True, slots=True)
class HostKey:
    """``fingerprint`` is ``SHA256:…``, as hosts publish it."""

    kind: str
    fingerprint: str


def generate(comment: str) -> KeyPair:
    """A new Ed25519 pair."""
    return _pair(ed25519.Ed25519PrivateKey.generate(), comment)


def read_private(text: str, comment: str) -> KeyPair:
    """A private key that somebody pasted. Raises ProblemError CREDENTIAL-KEY, which repeats nothing of it."""
    # Browsers send CRLF, and a copied key often lacks its last line end.
    data = ("\n".join(line.strip() for line in text.strip().splitlines()) + "\n").encode()
    if len(data) > _TEXT_LENGTH or b"PRIVATE KEY-----" not in data:
        raise _bad_key("It does not begin with “-----BEGIN … PRIVATE KEY-----”")
    load = load_ssh_private_key if b"BEGIN OPENSSH" in data else load_pem_private_key
    try:
        key = load(data, password=None)
    except TypeError:
        raise _bad_key("It is locked with a passphrase, which nobody is there to type") from None
    except (ValueError, UnsupportedAlgorithm):
        locked = b"ENCRYPTED" in data
        raise _bad_key("It is locked with a passphrase" if locked else "It is damaged or of an unknown type") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _RSA_BITS:
        raise _bad_key(f"Its RSA key has {key.key_size} bits; that is too short")
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise _bad_key("Keys of its type are no longer used")
    try:
        return _pair(key, comment)
    except (ValueError, UnsupportedAlgorithm):
        raise _bad_key("ssh does not know its curve") from None


def _pair(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, comment: str) -> KeyPair:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return KeyPair(private, f"{public} {re.sub(r'[^!-~]+', '-', comment).strip('-')}".rstrip())


def _bad_key(detail: str) -> ProblemError:
    return ProblemError("CREDENTIAL-KEY", detail=detail)


def fingerprint(public: str) -> str:
    """``SHA256:…`` of a public key's line, or nothing if it is none."""
    try:
        digest = ssh_key_fingerprint(load_ssh_public_key(public.encode()), hashes.SHA256())
    except (ValueError, UnsupportedAlgorithm):
        return ""
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def read_known_hosts(text: str, site: str) -> str:
    """The host keys of ``site`` (``host`` or ``host:port``), one a line, without comments and repetitions.

    Raises ProblemError CREDENTIAL-KNOWN-HOSTS naming the line that is none, or that is another host's.
    """
    lines: dict[str, None] = {}
    for number, raw in enumerate(text[: _TEXT_LENGTH + 1].splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None or not fingerprint(f"{found[3]} {found[4]}"):
            raise _bad_hosts(site, f"Line {number} is not “host type key”")
        if not _names(found[2], site):
            raise _bad_hosts(site, f"Line {number} is for another host than {site}")
        lines[" ".join(part for part in found.groups() if part)] = None
    if len(text) > _TEXT_LENGTH:
        raise _bad_hosts(site, f"They are longer than {_TEXT_LENGTH} characters")
    return "".join(f"{line}\n" for line in lines)


def known_host_name(site: str) -> str:
    """How known_hosts writes ``host`` or ``host:port``."""
    host, port = _parted(site)
    return f"[{host}]:{port}" if port else host


def _parted(site: str) -> tuple[str, str]:
    if site.startswith("["):
        host, _, port = site[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = site.partition(":")
    return host, port


def _names(hosts: str, site: str) -> bool:
    if hosts.startswith("|1|"):  # hashed: only the host's name opens it, ssh will see
        return True
    wanted = known_host_name(site)
    # A pattern may have * and ?; the bracket before a port is itself.
    return any(fnmatch.fnmatchcase(wanted, each.replace("[", "[[]")) for each in hosts.lower().split(","))


def _bad_hosts(site: str, detail: str) -> ProblemError:
    return ProblemError("CREDENTIAL-KNOWN-HOSTS", detail=detail, host=site)


def host_keys(known_hosts: str) -> list[HostKey]:
    """What stands in known_hosts, for people to compare with what the host publishes."""
    found = [_LINE.fullmatch(line) for line in known_hosts.splitlines()]
    return [HostKey(line[3], fingerprint(f"{line[3]} {line[4]}")) for line in found if line is not None]
