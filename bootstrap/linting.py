"""`make lint`: style, types, import rules, migrations, and Django's own check of production settings."""

import base64
import secrets

from bootstrap.home import PYTHON, SHARED
from bootstrap.report import say, step
from bootstrap.run import show

TOOLS = PYTHON.parent


def _production() -> dict[str, str]:
    """Settings that production requires, with values that lead nowhere."""
    secret = secrets.token_urlsafe(48)
    return {
        "SLIPWAY_ENV": "production",
        "SLIPWAY_SECRET_KEY": secret,
        "SLIPWAY_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "SLIPWAY_ALLOWED_HOSTS": "slipway.example.com",
        "SLIPWAY_PUBLIC_URL": "https://slipway.example.com",
        "SLIPWAY_STAGING_PASSWORD": secret,
        "SLIPWAY_MAIL_URL": "smtp://localhost:25",
        "DATABASE_URL": "postgresql://slipway@localhost/slipway",
        "REDIS_URL": "redis://localhost:6379/0",
    }


def write_docs() -> int:
    """Write what is generated from documentation and code."""
    data = {"SLIPWAY_DATA_DIR": str(SHARED.directory("lint")), "SLIPWAY_ENV": "test", "DATABASE_URL": ""}
    return show([PYTHON, "-m", "tests.docs"], env=data)


def run() -> int:
    """Run every check, so that one run shows all that is wrong. Returns 0 if nothing is."""
    data = {"SLIPWAY_DATA_DIR": str(SHARED.directory("lint"))}
    # No database URL of the caller's: whether migrations are complete is known without a server.
    local = {**data, "SLIPWAY_ENV": "development", "DATABASE_URL": ""}
    manage = [PYTHON, "manage.py"]
    deploy = [*manage, "check", "--deploy", "--fail-level", "WARNING"]
    checks = (
        ("ruff check", [TOOLS / "ruff", "check", "."], local),
        ("size limits", [PYTHON, "-m", "bootstrap.sizes"], local),
        ("ruff format", [TOOLS / "ruff", "format", "--check", "."], local),
        ("import rules", [TOOLS / "lint-imports"], local),
        ("migrations", [*manage, "makemigrations", "--check", "--dry-run"], local),
        ("generated docs", [PYTHON, "-m", "tests.docs", "--check"], {**local, "SLIPWAY_ENV": "test"}),
        ("production settings", deploy, {**data, **_production()}),
        ("mypy", [TOOLS / "mypy"], local),
    )
    failed = []
    for name, command, env in checks:
        with step(name):
            if show(command, env=env):
                failed.append(name)
    say(f"Lint failed: {', '.join(failed)}" if failed else "Lint passed.")
    return 1 if failed else 0
