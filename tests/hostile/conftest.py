"""Fixtures of the hostile images: a stack with small budgets, alone on the machine so that free disk and memory mean
something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.aws_fixtures import aws, standin, standin_server
from tests.crash.conftest import aws_team
from tests.engine.conftest import engine
from tests.registry_fixtures import registry
from tests.stack import data_dir, stack

__all__ = ["aws", "aws_team", "data_dir", "engine", "registry", "stack", "standin", "standin_server"]

LIMITS = {
    "SLIPWAY_TEST_DISK_MB": "64",
    "SLIPWAY_TEST_INODES": "3000",
    "SLIPWAY_TEST_PIDS": "64",
    "SLIPWAY_TEST_CPUS": "1",
    "SLIPWAY_PING_DEADLINE_SECONDS": "20",
    "SLIPWAY_TEST_CONCURRENCY": "3",
    "SLIPWAY_TEAM_CONCURRENCY": "4",
}


@pytest.fixture
def stack_environment(tmp_path: Path) -> dict[str, str]:
    # So that a memory hog is one soon, and at the full size of its instance type.
    table = tmp_path / "instances.json"
    table.write_text(json.dumps({"as_of": "2026-11-27", "types": {"ml.m5.large": [1, 0.125, 0.1]}}))
    return LIMITS | {"SLIPWAY_INSTANCES_FILE": str(table)}
