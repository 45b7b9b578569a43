"""From a verified body to its JSON object, and to the copy of it that is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from listings.hooks.events import Headers
from listings.problems import ProblemError

_JSON_TYPE = re.compile(r"application/(json|[a-z0-9.+-]+\+json)", re.IGNORECASE)
_FORM_TYPE = "application/x-www-form-urlencoded"

#: Headers that are kept with a delivery; of others only that they came, if they may hold a secret.
_KEPT = frozenset({
    "content-type", "content-length", "user-agent", "host", "accept",
    "x-github-event", "x-github-delivery", "x-github-hook-id", "x-github-hook-installation-target-id",
    "x-github-hook-installation-target-type",
    "x-gitlab-event", "x-gitlab-instance", "x-gitlab-event-uuid", "x-gitlab-webhook-uuid", "idempotency-key",
    "x-event-key", "x-event-time", "x-hook-uuid", "x-request-uuid", "x-attempt-number", "x-request-id",
    "x-gitea-event", "x-gitea-event-type", "x-gitea-delivery",
    "x-forgejo-event", "x-forgejo-event-type", "x-forgejo-delivery",
    "webhook-id", "webhook-timestamp",
})  # fmt: skip
_SECRET_HEADER = re.compile(r"auth|cookie|token|signature|secret|passw|credential|api-?key", re.IGNORECASE)
_HEADER_LENGTH, _HEADERS = 200, 40
REMOVED = "(removed)"

_SECRET_FIELD = re.compile(
    r"secret|passw(or)?d|passphrase|authori[sz]ation|(api|private|access)[_-]?key|credential|(^|[_-])(token|auth)$",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")
_DEPTH = 40
#: Each takes some hundred bytes of memory: 25 MB of “[],” would take more than a gigabyte. Commas and brackets within
#: texts count, too; names of files as long as 25 bytes fill a body with fewer.
_VALUES = 1_000_000


def payload_of(headers: Headers, body: bytes, *, form: bool = False) -> dict[str, Any]:
    """The JSON object of a body; with ``form``, one in the field ``payload`` of a form will do.

    Raises ProblemError HOOK-CONTENT-TYPE or HOOK-NOT-JSON.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip()
    if form and kind.lower() == _FORM_TYPE:
        body = _from_form(body)
    elif not _JSON_TYPE.fullmatch(kind):
        raise ProblemError("HOOK-CONTENT-TYPE", given=printable(kind, 80) or "none")
    if sum(map(body.count, (b",", b"[", b"{"))) > _VALUES:
        raise ProblemError("HOOK-NOT-JSON", detail=f"it has more than {_VALUES:,} values")
    try:
        payload = json.loads(body)
    except RecursionError:
        raise ProblemError("HOOK-NOT-JSON", detail="it is nested too deeply") from None
    except ValueError:  # also what is not UTF-8
        raise ProblemError("HOOK-NOT-JSON", detail="it cannot be parsed") from None
    if not isinstance(payload, dict):
        raise ProblemError("HOOK-NOT-JSON", detail="it is not an object")
    return payload


def _from_form(body: bytes) -> bytes:
    try:
        fields = parse_qs(body, max_num_fields=10)
    except ValueError:
        raise ProblemError("HOOK-NOT-JSON", detail="the form cannot be read") from None
    found = fields.get(b"payload", [])
    if len(found) != 1:
        raise ProblemError("HOOK-NOT-JSON", detail="the form has no field named “payload”")
    return found[0]


def printable(value: str, limit: int = _HEADER_LENGTH) -> str:
    return "".join(sign for sign in value[: 4 * limit] if sign.isprintable())[:limit]


def redacted_headers(headers: Headers) -> dict[str, str]:
    """What is kept of a request's headers: known harmless ones, cut short, and the names of those with secrets."""
    kept: dict[str, str] = {}
    for name in sorted(headers):
        if len(kept) >= _HEADERS:
            break
        if name in _KEPT:
            kept[name] = printable(headers[name])
        elif _SECRET_HEADER.search(name):
            kept[printable(name, 80)] = REMOVED
    return kept


def redacted(value: Any, secrets: Iterable[str] = (), depth: int = 0) -> Any:
    """``value`` (JSON) without fields that are named like secrets, without ``secrets`` and sign-ins in addresses.

    What is nested too deeply to be looked through is removed; so is what no database or terminal should get.
    """
    if depth > _DEPTH:
        return REMOVED
    if isinstance(value, dict):
        return {_clean(key, secrets): _field(key, item, secrets, depth) for key, item in value.items()}
    if isinstance(value, list):
        return [redacted(item, secrets, depth + 1) for item in value]
    return _clean(value, secrets) if isinstance(value, str) else value


def _field(key: str, item: Any, secrets: Iterable[str], depth: int) -> Any:
    if isinstance(item, str | int | float) and not isinstance(item, bool) and _SECRET_FIELD.search(key):
        return REMOVED
    return redacted(item, secrets, depth + 1)


def _clean(value: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        value = value.replace(secret, REMOVED)
    if "://" in value:
        value = _USERINFO.sub("", value)
    return value.encode("utf-8", "replace").decode()
