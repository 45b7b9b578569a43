"""The environment of Slipway's processes, and the file that keeps it for people: var/slipway.env."""

import os
from dataclasses import dataclass
from pathlib import Path

from bootstrap import chromium, engine
from bootstrap.home import Home, write_private
from bootstrap.ports import LOOPBACK
from bootstrap.registry import Registry

PREFIX = "SLIPWAY_"


@dataclass(frozen=True)
class Backing:
    """The services that the product's processes talk to."""

    engine: str
    redis: str
    registry: Registry
    aws: str


def env_path(home: Home) -> Path:
    return home.var / ("slipway-test.env" if home.name == "test" else "slipway.env")


def build(home: Home, backing: Backing, port: int, database: str = "") -> dict[str, str]:
    """Every variable that the processes get. What the caller's environment sets, holds."""
    env = {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "REDIS_URL": backing.redis,
        "SLIPWAY_ENV": home.name,
        "SLIPWAY_SECRET_KEY": home.secret("django"),
        "SLIPWAY_DATA_DIR": str(home.var),
        "SLIPWAY_PUBLIC_URL": f"http://{LOOPBACK}:{port}",
        "SLIPWAY_STAGING_REGISTRY_ENGINE": backing.registry.engine,
        "SLIPWAY_STAGING_REGISTRY_WORKER": backing.registry.worker,
        "SLIPWAY_STAGING_USERNAME": backing.registry.username,
        "SLIPWAY_STAGING_PASSWORD": backing.registry.password,
        "SLIPWAY_AWS_ENDPOINT_URL": backing.aws,
        # The stand-in is local: asking it every second costs nothing and keeps the demo brisk.
        "SLIPWAY_AWS_POLL_SECONDS": "1",
        "SLIPWAY_TICK_SECONDS": "2",
        **{name: value for name, value in os.environ.items() if name.startswith(PREFIX)},
    }
    database = database or os.environ.get("DATABASE_URL", "")
    if database:
        env["DATABASE_URL"] = database
    if not engine.is_default(backing.engine):
        env["DOCKER_HOST"] = backing.engine
    if home.name == "test":
        env[chromium.VARIABLE] = chromium.find()
    return env


def save(home: Home, env: dict[str, str]) -> None:
    """Keep the environment for `python3 -m bootstrap exec` and for a shell's `. var/slipway.env`."""
    lines = [f"{name}='{value}'" for name, value in sorted(env.items())]
    write_private(env_path(home), "\n".join(["# Written by python3 -m bootstrap.", *lines]) + "\n")


def load(home: Home) -> dict[str, str]:
    """The kept environment; empty before the first start."""
    try:
        lines = env_path(home).read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name: value.strip("'") for name, _, value in pairs}
