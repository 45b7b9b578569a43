"""SLIPWAY_MAIL_URL to Django's settings of a mail server."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit


def parse(url: str) -> dict[str, Any]:
    """Settings by their names. ``smtp``, ``smtp+tls`` (STARTTLS) and ``smtps`` are known; user name and password are
    percent-encoded in the URL, as in DATABASE_URL."""
    parts = urlsplit(url)
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname or "",
        "EMAIL_PORT": parts.port or 25,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
    }
