"""Secrets at rest: sealed with the installation's encryption keys, and bound to the row that holds them.

Keys are ``SLIPWAY_ENCRYPTION_KEYS``: Fernet keys, newest first. Everything is sealed with the first and can be revealed
with any, so that keys are rotated without a pause.
"""

from __future__ import annotations

import base64
import hashlib
import json

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from listings.problems import ProblemError


def _box() -> MultiFernet:
    given = settings.SLIPWAY.encryption_keys.get_secret_value()
    keys = [key.strip() for key in given.split(",") if key.strip()]
    if not keys:
        # Outside production, where keys are required, one that follows from the secret key will do.
        keys = [base64.urlsafe_b64encode(hashlib.sha256(f"sealing:{settings.SECRET_KEY}".encode()).digest()).decode()]
    return MultiFernet([Fernet(key) for key in keys])


def seal(secret: str, bound_to: str) -> str:
    """``secret`` sealed; it opens only when the same ``bound_to`` (the id of its row) is named."""
    return _box().encrypt(json.dumps([bound_to, secret]).encode()).decode()


def reveal(sealed: str, bound_to: str) -> str:
    """Raises ProblemError SECRET-UNREADABLE: no key fits, or the row is another."""
    try:
        owner, secret = json.loads(_box().decrypt(sealed.encode()))
    except InvalidToken:
        raise ProblemError("SECRET-UNREADABLE") from None
    if owner != bound_to:
        raise ProblemError("SECRET-UNREADABLE")
    return str(secret)


def reseal(sealed: str) -> str:
    """The same secret under the newest key. Raises ProblemError SECRET-UNREADABLE."""
    try:
        return _box().rotate(sealed.encode()).decode()
    except InvalidToken:
        raise ProblemError("SECRET-UNREADABLE") from None
