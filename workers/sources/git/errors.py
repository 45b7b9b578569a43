"""From git's last lines to a problem of the catalogue. git is run with LC_ALL=C, so its words are known."""

from __future__ import annotations

import re

from listings.addresses import GitAddress
from listings.problems import ProblemError
from listings.reports import Evidence
from workers.sources.git.access import Secret
from workers.sources.git.runner import GitFailed
from workers.sources.guard import Way

_HOST_KEY = ("host identification has changed", "host key verification failed")
_TLS = ("certificate verification failed", "ssl certificate problem", "certificate verify failed", "gnutls_handshake",
        "ssl_connect", "ssl routines", "wrong version number", "server certificate", "gnutls recv error")  # fmt: skip
_REFUSED = ("authentication failed", "could not read username", "could not read password", "terminal prompts disabled",
            "permission denied", "returned error: 401", "returned error: 403", "http basic: access denied",
            "too many authentication failures", "invalid username or")  # fmt: skip
_NO_REPOSITORY = ("not found", "does not appear to be a git repository", "is this a git repository",
                  "not valid: could not determine hash algorithm", "returned error: 404", "returned error: 410",
                  "unable to update url base from redirection", "could not read from remote repository",
                  "protocol error: bad line length", "invalid server response", "not a git repository")  # fmt: skip
_UNREACHABLE = ("could not resolve", "failed to connect", "connection refused", "connection timed out", "timed out",
                "couldn't connect", "connection reset", "early eof", "operation too slow", "the remote end hung up",
                "returned error: 5", "connection closed by", "no route to host", "unexpected disconnect",
                "empty reply from server", "kex_exchange_identification", "rpc failed")  # fmt: skip
_DISK = ("no space left on device", "disk quota exceeded")


def problem_of(error: GitFailed, address: GitAddress, secret: Secret | None, way: Way) -> ProblemError:
    """What git's failure at ``address`` means. The guard's own findings come first: git only saw a closed door."""
    if way.refusals:
        return way.refusals[0].problem()
    evidence = tuple(Evidence(line, label="git") for line in error.lines)
    host, url = address.site, str(address)
    if error.says(*_DISK):
        return ProblemError("GIT-DISK-FULL", evidence=evidence)
    if error.says("cannot run ssh"):
        return ProblemError("GIT-PROGRAM-MISSING", evidence=evidence, program="ssh", host="the worker's host")
    if error.says("cannot run index-pack", "is not a git command"):
        return ProblemError("GIT-PROGRAM-MISSING", evidence=evidence, program="part of git", host="the worker's host")
    if way.failures:
        failure = way.failures[-1]
        return ProblemError("GIT-UNREACHABLE", evidence=evidence, host=failure.host, reason=_small(failure.reason))
    if error.says(*_HOST_KEY):
        return ProblemError("GIT-HOST-KEY", evidence=evidence, host=host)
    if error.says(*_TLS):
        return ProblemError("GIT-TLS", evidence=evidence, host=host, reason=_last(error))
    if error.says(*_REFUSED):
        return auth_refused(address, secret, evidence)
    if error.says(*_UNREACHABLE) and not error.says("not found"):
        return ProblemError("GIT-UNREACHABLE", evidence=evidence, host=host, reason=_last(error))
    if error.says(*_NO_REPOSITORY):
        return ProblemError("GIT-NOT-REPOSITORY", evidence=evidence, url=url)
    return ProblemError("GIT-FAILED", evidence=evidence, reason=_last(error))


def auth_refused(address: GitAddress, secret: Secret | None, evidence: tuple[Evidence, ...]) -> ProblemError:
    is_for_host = secret is not None and secret.site == address.site
    who = f"to the credential “{secret.row.name}”" if secret is not None and is_for_host else "without a credential"
    return ProblemError("GIT-AUTH-REFUSED", evidence=evidence, host=address.site, url=str(address), who=who)


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _last(error: GitFailed) -> str:
    """The last line that says what went wrong, without git's own prefix."""
    for line in reversed(error.lines):
        found = re.match(r"(?:fatal|error|remote: fatal|ssh|slipway): (.+)", line)
        if found:
            return found[1].strip().rstrip(".")[:300]
    return (error.lines[-1] if error.lines else f"code {error.code}, without a word")[:300]
