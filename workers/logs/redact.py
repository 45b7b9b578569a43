"""Takes credentials out of log lines: values that we know, and shapes that only credentials have."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"
#: Shorter values would mask ordinary words.
SHORTEST_SECRET = 4

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

_AWS_KEY_ID = re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b")
_TOKENS = re.compile(
    r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\bhf_[A-Za-z0-9]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bsk-[A-Za-z0-9_-]{20,}|\bpypi-[A-Za-z0-9_-]{32,}"
)
#: A JSON Web Token. It is looked for once in each run of such characters, from the run's first ``eyJ`` on (a later
#: one would meet the same dots): else a run of nothing but ``eyJ-`` is searched to its end from each of them.
_WEB_TOKEN = re.compile(
    r"(?<![A-Za-z0-9_-])((?>[A-Za-z0-9_-]*?\beyJ))[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]*"
)
_NAMED = re.compile(
    r"(?i)((?:secret_?access_?key|session_?token|security-token|x-amz-signature|x-amz-credential)"
    r"[\"']?\s*(?:[=:]|%3d)\s*[\"']?)([A-Za-z0-9/+=%._-]{16,})"
)
_HEADER = re.compile(r"(?i)\b(bearer|basic)(\s+)([A-Za-z0-9._~+/=-]{8,})")
#: From ``://`` on: to find where the scheme before it begins takes long in a line of nothing but ``a.a.a.``.
_URL = re.compile(r"(?i)(?<=[a-z0-9+.-]://)[^\s/@:\"']*:[^\s/@\"']+@")
_URL_TOKEN = re.compile(r"(?i)(?<=http://|ttps://)[^\s/@:\"']{16,}@")
_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY-----")
#: A key block that never ends must not silence a log for good.
_LONGEST_KEY_LINES = 200


def _spellings(secret: str) -> Iterable[str]:
    """A secret as it is, each of its lines, and as URLs and basic authentication carry it."""
    for part in {secret, *secret.splitlines()}:
        if len(part.strip()) < SHORTEST_SECRET:
            continue
        yield part
        yield quote(part, safe="")
        yield base64.b64encode(part.encode()).decode().rstrip("=")


class Redactor:
    """``clean`` takes whole lines. Private keys span lines, so each stream remembers whether it is inside one.

    Its time grows with a line's length and no faster, whatever the line holds: a container writes what it likes, and
    while an expression is at work no other thread of the worker is, the heartbeat's among them.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._spellings: set[str] = set()
        self._known: tuple[str, ...] = ()
        self._key_lines: dict[str, int] = {}
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Know these values, too."""
        self._spellings.update(spelling for secret in secrets for spelling in _spellings(secret))
        # Longest first: a secret that begins like another must not leave its end behind.
        self._known = tuple(sorted(self._spellings, key=len, reverse=True))

    def clean(self, text: str, stream: str = "out") -> str:
        """``text`` without credentials. Colours are given up where they hide one."""
        if "\x1b" in text:
            plain = _COLOUR.sub("", text)
            cleaned = self._clean_plain(plain, stream)
            return text if cleaned == plain else cleaned
        return self._clean_plain(text, stream)

    def _clean_plain(self, text: str, stream: str) -> str:
        if self._in_private_key(text, stream):
            return MASK
        for known in self._known:
            # Not one expression of all: that compares anew at each character what nearly is one of them.
            if known in text:
                text = text.replace(known, MASK)
        if "A" in text:
            text = _AWS_KEY_ID.sub(MASK, text)
        lowered = text.lower()
        if "://" in text and "@" in text:
            text = _URL.sub(f"{MASK}:{MASK}@", text)
            text = _URL_TOKEN.sub(f"{MASK}@", text)
        if "bearer" in lowered or "basic" in lowered:
            text = _HEADER.sub(rf"\1\2{MASK}", text)
        if "secret" in lowered or "token" in lowered or "x-amz" in lowered:
            text = _NAMED.sub(rf"\1{MASK}", text)
        if "eyJ" in text:
            text = _WEB_TOKEN.sub(lambda found: found[1].removesuffix("eyJ") + MASK, text)
        return _TOKENS.sub(MASK, text)

    def _in_private_key(self, text: str, stream: str) -> bool:
        inside = self._key_lines.get(stream, 0)
        if not inside and ("-----BEGIN" not in text or not _KEY_BEGIN.search(text)):
            return False
        if _KEY_END.search(text) or inside >= _LONGEST_KEY_LINES:
            self._key_lines.pop(stream, None)
        else:
            self._key_lines[stream] = inside + 1
        return True
