"""Writes the staging registry's password file from SLIPWAY_STAGING_USERNAME and SLIPWAY_STAGING_PASSWORD."""

from __future__ import annotations

import os
from pathlib import Path

import bcrypt

#: The password is random, so the cheapest hash is as safe as a slow one and spares every blob request.
COST = 4


def entry(username: str, password: str) -> str:
    """One line of an htpasswd file."""
    return f"{username}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode()}\n"


def main() -> None:
    path = Path("/registry-auth/htpasswd")
    draft = path.with_suffix(".new")
    draft.write_text(entry(os.environ["SLIPWAY_STAGING_USERNAME"], os.environ["SLIPWAY_STAGING_PASSWORD"]))
    # The registry's own user reads it; only salt and hash are in it, and the volume is shared with nobody else.
    draft.chmod(0o644)
    draft.replace(path)


if __name__ == "__main__":
    main()
