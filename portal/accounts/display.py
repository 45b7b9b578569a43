from __future__ import annotations

from portal.accounts.models import User


def user_display(user: User) -> str:
    """How mails and pages call a user."""
    return str(user)
