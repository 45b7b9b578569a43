"""What git is given for one step: an empty home, a strict configuration, the guard, and one secret for one host."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from listings.addresses import HTTP, HTTPS, SSH, GitAddress
from listings.models import Credential, CredentialKind
from listings.services import credentials
from workers.sources.git import over_ssh
from workers.sources.guard import Way

_CONFIG = """\
[core]
\thooksPath = /dev/null
\tfsmonitor = false
\taskPass =
[protocol]
\tallow = never
[protocol "https"]
\tallow = always
[protocol "http"]
\tallow = always
[protocol "ssh"]
\tallow = always
[http]
\tfollowRedirects = initial
\tproxyAuthMethod = basic
\tlowSpeedLimit = 100
\tlowSpeedTime = 60
[fetch]
\tunpackLimit = 1
\trecurseSubmodules = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""
_SSH_CONFIG = """\
BatchMode yes
IdentitiesOnly yes
IdentityAgent none
PreferredAuthentications publickey
PubkeyAuthentication yes
ForwardAgent no
PermitLocalCommand no
ControlMaster no
UpdateHostKeys no
HashKnownHosts no
GlobalKnownHostsFile /dev/null
CheckHostIP no
ConnectTimeout 30
ServerAliveInterval 15
ServerAliveCountMax 3
LogLevel ERROR
"""


@dataclass(frozen=True, slots=True)
class Secret:
    """A credential, opened. ``site`` is the only host (``host`` or ``host:port``) that it is for."""

    row: Credential
    site: str
    username: str
    text: str

    @classmethod
    def of(cls, credential: Credential | None, address: GitAddress) -> Secret | None:
        """Raises ProblemError CREDENTIAL-KIND, CREDENTIAL-HOST (for another kind or host), SECRET-UNREADABLE."""
        if credential is None:
            return None
        kind = CredentialKind.SSH_KEY if address.scheme == SSH else CredentialKind.TOKEN
        credentials.require_kind(credential, kind)
        credentials.require_host(credential, address.site)
        return cls(credential, address.site, credential.username, credential.reveal())

    @property
    def is_key(self) -> bool:
        return self.row.kind == CredentialKind.SSH_KEY


class Access:
    """Files below ``home`` that only this user can read, and the environment that points to them.

    ``home`` is new and empty; the caller removes it as soon as nothing more is fetched.
    """

    def __init__(self, home: Path, way: Way, address: GitAddress, secret: Secret | None) -> None:
        self._home, self._way, self._secret = home, way, secret
        home.mkdir(mode=0o700)
        config = _CONFIG
        if secret is not None and secret.is_key:
            self._write("key", secret.text if secret.text.endswith("\n") else f"{secret.text}\n")
        elif secret is not None:
            config += self._stored(secret, address.scheme)
        self._write("config", config)
        self._write("known_hosts", secret.row.known_hosts if secret is not None else "")
        self._write("ssh_config", self._ssh_config())

    def environment(self) -> Mapping[str, str]:
        """The whole environment of git's processes: nothing of the worker's own but its PATH and certificates."""
        here = str(self._home)
        script = shlex.join(over_ssh.COMMAND)
        certificates = os.environ.get("GIT_SSL_CAINFO") or os.environ.get("SSL_CERT_FILE")
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "HOME": here,
            "XDG_CONFIG_HOME": here,
            "TMPDIR": here,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._home / "config"),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": f"{HTTPS}:{HTTP}:{SSH}",
            "GIT_SSH_COMMAND": script,
            "GIT_SSH_VARIANT": "ssh",
            over_ssh.CONFIG: str(self._home / "ssh_config"),
            over_ssh.SITE: self._secret.site if self._secret is not None and self._secret.is_key else "",
            **({"GIT_SSL_CAINFO": certificates} if certificates else {}),
            **self._way.environment(),
        }

    def learned_host_keys(self) -> str:
        """What ssh noted of a host that was not known before; empty if it was."""
        if self._secret is None or not self._secret.is_key or self._secret.row.known_hosts:
            return ""
        return (self._home / "known_hosts").read_text()

    def _write(self, name: str, text: str) -> None:
        handle = os.open(self._home / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)

    def _stored(self, secret: Secret, scheme: str) -> str:
        """git's own credential store, asked for this host only: git compares scheme, host and port."""
        site = f"{scheme}://{secret.site}"
        pair = f"{quote(secret.username, safe='')}:{quote(secret.text, safe='')}"
        self._write("credentials", f"{scheme}://{pair}@{secret.site}\n")
        helper = f"store --file={shlex.quote(str(self._home / 'credentials'))}"
        return f'[credential "{site}"]\n\thelper = "{_escaped(helper)}"\n'

    def _ssh_config(self) -> str:
        """Paths are quoted for ssh_config(5), where a percent sign is a token."""
        connector = shlex.join([*over_ssh.COMMAND, "--connect"]).replace("%", "%%")
        strict = "yes" if self._secret is not None and self._secret.row.known_hosts else "accept-new"
        return (
            f"{_SSH_CONFIG}StrictHostKeyChecking {strict}\n"
            f'UserKnownHostsFile "{_percent(self._home / "known_hosts")}"\n'
            f'IdentityFile "{_percent(self._home / "key")}"\n'
            f"ProxyCommand {connector}\n"
        )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _percent(path: Path) -> str:
    return str(path).replace("%", "%%")
