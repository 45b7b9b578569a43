"""Plaintext credentials by their shape. What is found is told by kind and place; the values are never kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

#: Shapes that nothing else has: who holds such a text can sign in with it.
_TOKENS = {
    "a GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{40,}"),
    "a GitLab token": re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}"),
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{34,}\b"),
    "a Slack token": re.compile(r"\bxox[abprs]-[0-9]{8,}-[A-Za-z0-9-]{10,}"),
    "a PyPI token": re.compile(r"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
    "an OpenAI or Anthropic key": re.compile(r"\bsk-(?:proj-|ant-)[A-Za-z0-9_-]{32,}"),
    "an npm token": re.compile(r"\bnpm_[A-Za-z0-9]{36}\b"),
}
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+]{1,12}://[^\s/@:\"'$<{]{1,100}:[^\s/@\"'$<{*]{4,200}@[\w.-]+")
_AWS_ID = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_AWS_SECRET = re.compile(
    r"(?i)secret_?access_?key[\"']?[ \t]{0,8}[=:,]?[ \t]{0,8}[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
#: Marks of the tokens above, so that most texts are passed over at once.
_MARKS = ("gh", "glpat-", "hf_", "xox", "pypi-", "sk-", "npm_", "://", "AKIA", "ASIA", "ecret", "ECRET", "PRIVATE KEY")
_EXAMPLE = re.compile(r"(?i)example|x{6,}|0{12,}|1234567890")
#: Files whose names say that they hold credentials. Their content is looked through and not kept.
FILE_NAMES = frozenset(
    {".netrc", ".pypirc", ".git-credentials", ".npmrc", ".dockercfg", ".env", "pip.conf", ".boto", ".pgpass",
     "application_default_credentials.json", "kaggle.json", ".condarc", "id_rsa", "id_ed25519", "id_ecdsa",
     "id_dsa"}
)  # fmt: skip
_FILE_ENDS = (
    ".aws/credentials", ".aws/config", ".docker/config.json", ".kube/config", ".config/pip/pip.conf",
    ".huggingface/token", ".cache/huggingface/token", ".git/config",
)  # fmt: skip
_NETRC = re.compile(r"(?:machine\s{1,9}\S{1,200}|default)\s{1,9}login\s{1,9}\S{1,200}\s{1,9}password\s{1,9}\S")
_DOCKER_AUTH = re.compile(r'"auth"\s*:\s*"[A-Za-z0-9+/=]{8,}"')
_NPM_AUTH = re.compile(r"_(?:authToken|auth|password)[ \t]{0,9}=[ \t]{0,9}(?!\$\{)\S{8}")
_PYPIRC = re.compile(r"(?m)^[ \t]*password[ \t]{0,9}[:=][ \t]{0,9}(?![$%{])\S{4}")
_KAGGLE = re.compile(r'"key"\s*:\s*"[0-9a-f]{32}"')
_PGPASS = re.compile(r"(?m)^[^#:\n]+:[^:\n]*:[^:\n]*:[^:\n]+:[^:\n]+$")
_BY_NAME = {
    ".netrc": _NETRC, "config.json": _DOCKER_AUTH, ".dockercfg": _DOCKER_AUTH, ".npmrc": _NPM_AUTH,
    ".pypirc": _PYPIRC, "kaggle.json": _KAGGLE, ".pgpass": _PGPASS,
    "application_default_credentials.json": re.compile(r'"(?:refresh_token|private_key)"\s*:\s*"[^"]{8,}"'),
}  # fmt: skip
#: Names of variables that hold credentials, whatever these look like.
_TELLING_NAME = re.compile(
    r"(?i)(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|SECRET_?KEY|PRIVATE_?KEY"
    r"|CREDENTIALS?)$"
)
_NO_SECRET = re.compile(r"(?i)true|false|none|null|yes|no|changeme|[\d.]+|[./$~{<%].*|[^\s]*\$\{?\w.*|.{0,7}")
MOST = 50


@dataclass(frozen=True, slots=True)
class Secret:
    """``certain``: of a shape that only a credential has, not just a private key or a telling name."""

    line: int
    what: str
    certain: bool


def is_credentials_file(path: str) -> bool:
    return path.rpartition("/")[2] in FILE_NAMES or path.endswith(_FILE_ENDS)


def find_in_text(text: str) -> list[Secret]:
    """Credentials of known shapes in any text, in the order of their lines."""
    if not any(mark in text for mark in _MARKS):
        return []
    found: list[Secret] = []
    for what, pattern in _TOKENS.items():
        found += [Secret(_line(text, hit), what, True) for hit in _real(pattern, text)]
    secrets, names = _real(_AWS_SECRET, text), _real(_AWS_ID, text)
    if secrets:
        found += [Secret(_line(text, hit), "an AWS secret access key", True) for hit in secrets]
    else:
        found += [Secret(_line(text, hit), "an AWS access key ID", False) for hit in names]
    found += [Secret(_line(text, hit), "a password in an address", False) for hit in _real(_ADDRESS, text)]
    found += [Secret(_line(text, hit), "a private key", False) for hit in _real(_PRIVATE_KEY, text)]
    return sorted(found, key=lambda secret: secret.line)[:MOST]


def find_in_file(path: str, text: str) -> list[Secret]:
    """Credentials in a file that is there to hold them."""
    found = find_in_text(text)
    own = _BY_NAME.get(path.rpartition("/")[2])
    if own is not None and not found:
        found = [Secret(_line(text, hit), "a password or token", True) for hit in islice(own.finditer(text), MOST)]
    if path.endswith("huggingface/token") and text.strip() and not found:
        found = [Secret(1, "a Hugging Face token", True)]
    return found


def find_in_value(name: str, value: str) -> list[Secret]:
    """Credentials in a variable or label."""
    found = find_in_text(f"{name}={value}")
    if not found and _TELLING_NAME.search(name) and not _NO_SECRET.fullmatch(value):
        found = [Secret(1, "a value whose name says that it is secret", False)]
    return found


def _real(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    hits = []
    for hit in pattern.finditer(text):
        if not _EXAMPLE.search(hit[0]):
            hits.append(hit)
        if len(hits) >= MOST:
            break
    return hits


def _line(text: str, hit: re.Match[str]) -> int:
    return text.count("\n", 0, hit.start()) + 1
