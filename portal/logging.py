"""Logs to standard output, one event a line: JSON in production, readable elsewhere.

Every logger of the process goes through here: Slipway's own, Django's, Celery's, uvicorn's, and Python's warnings.
What a line belongs to is bound in structlog's context variables: ``request_id`` and ``user`` on the web; ``run`` or
``release``, ``version``, ``step`` and ``attempt`` in a worker.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import structlog

from portal.access_log import KEY_IN_PATH

MASK = "***"
#: Shorter values would mask ordinary words.
SHORTEST_SECRET = 6
#: What a caller's ``extra`` may add to a line; Django and Celery pass whole objects there.
EXTRAS = ("state", "status", "method", "path", "ms", "request_id", "user")
_SECRET_KEY = re.compile(r"(?i)authorization|cookie|password|passwd|secret|token|api_?key|private_?key|signature")
#: From ``://`` on: to find where the scheme begins takes long in a text of nothing but ``a.a.a.``.
_URL = re.compile(r"(?i)(?<=[a-z0-9+.-]://)[^\s/@\"']+@")
_HEADER = re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}")


class Redact:
    """A processor that takes out known secrets, wherever they stand, and whatever has the name of one."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _forms(secret)}
        # Longest first: a secret that begins like another must not leave its end behind.
        known = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, logger: Any, method: str, event: Any) -> Any:
        return {key: self.clean(value, key) for key, value in event.items()}

    def clean(self, value: Any, key: str = "") -> Any:
        if key and _SECRET_KEY.search(key):
            return MASK
        if isinstance(value, Mapping):
            return {str(inner): self.clean(found, str(inner)) for inner, found in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(found) for found in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._text(str(value))

    def _text(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASK, text)
        if "@" in text and "://" in text:
            text = _URL.sub(f"{MASK}@", text)
        if "/" in text:  # Django names the path of what it refuses
            text = KEY_IN_PATH.sub(rf"\1{MASK}", text)
        return _HEADER.sub(rf"\1\2{MASK}", text)


def _forms(secret: str) -> Iterable[str]:
    """A secret as it is, as repr() and URLs spell it, and in base64."""
    yield secret
    yield repr(secret)[1:-1]
    yield quote(secret, safe="")
    yield base64.b64encode(secret.encode()).decode().rstrip("=")


def secrets_in(config: Any) -> list[str]:
    """The secret values of the settings: those typed so, and the passwords in URLs."""
    found = []
    for name in type(config).model_fields:
        value = getattr(config, name)
        if hasattr(value, "get_secret_value"):
            found += [part.strip() for part in value.get_secret_value().split(",")]
        elif isinstance(value, str) and "://" in value:
            found.append(unquote(urlsplit(value).password or ""))
    return [value for value in found if value]


def _without_empty(logger: Any, method: str, event: Any) -> Any:
    """A request without a user says nothing about one."""
    return {key: value for key, value in event.items() if value != ""}


def _shared() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(allow=EXTRAS),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


class ToldByAccessLog(logging.Filter):
    """Drops Django's line about an answer that is no accident: the access log has it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)


def config(level: str, *, as_json: bool, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """A dictConfig for ``logging``; ``level`` is the lowest level printed, ``secrets`` never are."""
    final: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_empty]
    if as_json:
        final += [structlog.processors.format_exc_info, Redact(secrets), structlog.processors.JSONRenderer()]
    else:
        final += [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    to_root: dict[str, Any] = {"handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"told": {"()": ToldByAccessLog}},
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _shared(),
                "processors": final,
            }
        },
        "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}},
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            "django": to_root,
            "django.server": {"handlers": ["stdout"], "propagate": False},
            "django.request": {"filters": ["told"]},
            "uvicorn": to_root | {"level": "NOTSET"},
            "uvicorn.error": to_root | {"level": "NOTSET"},
            # Slipway writes its own, with the request's id and user.
            "uvicorn.access": {"handlers": [], "propagate": False},
        },
    }
