"""Whether a body was sent by somebody who knows a secret. Every comparison takes the same time, whatever differs.

``secrets`` are all that are valid now: the current one, and the one before while it is rotated.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from listings.hooks.events import Headers
from listings.problems import ProblemError

#: How far the time of a signed request may lie from ours, in seconds (Standard Webhooks: five minutes).
TOLERANCE_SECONDS = 300


def wrong(detail: str) -> ProblemError:
    return ProblemError("HOOK-SIGNATURE", detail=detail)


def hex_hmac(secret: str, body: bytes) -> str:
    """HMAC-SHA256 of ``body``, as lower-case hex digits."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Constant-time comparison of two texts."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def verify_hmac(secrets: Sequence[str], body: bytes, given: str, header: str, prefix: str = "") -> None:
    """Raises ProblemError HOOK-SIGNATURE unless ``given`` is ``prefix`` and the HMAC-SHA256 in hex."""
    if not given:
        raise wrong(f"there is no {header} header")
    if not any(same(given.lower(), prefix + hex_hmac(secret, body)) for secret in secrets):
        raise wrong(f"{header} is not the HMAC-SHA256 of this body under the webhook's secret")


def verify_token(secrets: Sequence[str], given: str, header: str, prefix: str = "") -> None:
    """Raises ProblemError HOOK-SIGNATURE unless ``given`` is ``prefix`` and a secret."""
    if not given:
        raise wrong(f"there is no {header} header")
    if not any(same(given, prefix + secret) for secret in secrets):
        raise wrong(f"{header} does not hold the webhook's secret")


def verify_standard(secrets: Sequence[str], headers: Headers, body: bytes, now: datetime) -> None:
    """Standard Webhooks 1.0. Raises ProblemError HOOK-SIGNATURE, or HOOK-TIMESTAMP for an old or future request."""
    for header in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if not headers.get(header):
            raise wrong(f"there is no {header} header")
    stamp = headers["webhook-timestamp"]
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12):
        raise wrong("webhook-timestamp is not a number of seconds")
    age = now.timestamp() - int(stamp)
    if abs(age) > TOLERANCE_SECONDS:
        when = "old" if age > 0 else "in the future"
        raise ProblemError("HOOK-TIMESTAMP", seconds=int(abs(age)), when=when, tolerance=TOLERANCE_SECONDS)
    if not any(_is_standard(secret, headers, body) for secret in secrets):
        raise wrong("webhook-signature does not fit this body under the webhook's secret")


def _is_standard(secret: str, headers: Headers, body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except Exception:  # a malformed header makes the library raise what it meets
        return False
    return True


def sign_standard(secret: str, identity: str, body: bytes, now: datetime) -> dict[str, str]:
    """The three headers of a signed request."""
    signature = Webhook(secret).sign(identity, now.astimezone(UTC), body.decode())
    stamp = str(int(now.timestamp()))
    return {"webhook-id": identity, "webhook-timestamp": stamp, "webhook-signature": signature}
