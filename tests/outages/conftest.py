"""Fixtures of the tests that take a part away in the middle of work."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws_fixtures import standin, standin_server
from tests.crash.conftest import aws_team
from tests.engine.conftest import engine
from tests.outages.parts import EngineLine, OwnRegistry, SmallDisk
from tests.pipeline import pipeline
from tests.registry_fixtures import registry
from tests.stack import data_dir, stack, stack_environment

__all__ = [
    "aws_team",
    "data_dir",
    "engine",
    "pipeline",
    "registry",
    "stack",
    "stack_environment",
    "standin",
    "standin_server",
]


@pytest.fixture
def engine_line(monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineLine]:
    """Every way of this process to the engine goes through it."""
    given = os.environ.get("DOCKER_HOST", "")
    direct = given.removeprefix("unix://") if given.startswith("unix://") else "/var/run/docker.sock"
    # Not below tmp_path: a socket's address has no more than 107 characters.
    with tempfile.TemporaryDirectory(prefix="line-") as folder:
        line = EngineLine(Path(folder) / "engine.sock", direct)
        monkeypatch.setenv("DOCKER_HOST", line.address)
        yield line
        line.cut()


@pytest.fixture
def own_registry(tmp_path: Path) -> Iterator[OwnRegistry]:
    folder = tmp_path / "registry"
    folder.mkdir()
    server = OwnRegistry(folder)
    yield server
    server.stop()


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[SmallDisk]:
    """Storage, spools, working folders and temporary files of this process are on it."""
    disk = SmallDisk(tmp_path / "disk", 48)
    (disk.path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(disk.path / "tmp"))
    settings.MEDIA_ROOT = disk.path / "storage"
    yield disk
    disk.remove()
