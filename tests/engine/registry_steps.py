"""What the tests of registries, inspect, scan and push share: Slipway pointed at the test's registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tests.registry_fixtures import Registry as RegistryServer
from workers.registries import Credentials, Registry


def named(server: RegistryServer, password: str | None = None) -> Registry:
    """The running server as Slipway's typed registry."""
    credentials = Credentials(server.username, server.password if password is None else password)
    return Registry(f"http://{server.host}", server.host, server.host, credentials)


def use_as_staging(settings: Any, server: RegistryServer, data_dir: Path) -> None:
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={
        "staging_registry_worker": server.host, "staging_registry_engine": server.host,
        "staging_username": server.username, "staging_password": SecretStr(server.password), "data_dir": data_dir,
    })  # fmt: skip
