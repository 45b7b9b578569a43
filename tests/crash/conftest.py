"""Fixtures of the crash tests: a stack, an engine with a neighbour in it, and a team with an AWS account."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from listings.models import Team
from tests.aws_fixtures import Standin, aws, standin, standin_server
from tests.engine.conftest import engine
from tests.registry_fixtures import registry
from tests.stack import data_dir, stack, stack_environment
from workers.engine import Engine, attempt_labels

__all__ = ["aws", "data_dir", "engine", "registry", "stack", "stack_environment", "standin", "standin_server"]


@pytest.fixture
def aws_team(seller: Any, team: Team, standin: Standin) -> Team:
    """The team in an account of its own, with its bucket."""
    team.aws_account_id = standin.account
    for name in ("aws_role_arn", "validation_role_arn", "access_role_arn"):
        setattr(team, name, f"arn:aws:iam::{standin.account}:role/slipway")
    team.s3_bucket = f"bucket-{standin.account}"
    team.save()
    bucket = {"account": standin.account, "region": team.aws_region, "name": team.s3_bucket}
    requests.post(f"{standin.url}/_standin/buckets", json=bucket, timeout=10).raise_for_status()
    return team


@pytest.fixture
def neighbour(engine: Engine) -> Iterator[Any]:
    """A container of another Slipway on the same engine."""
    labels = attempt_labels(str(uuid.uuid4()), "elsewhere", uuid.uuid4())
    container = engine.run_container("slipway.local/busybox:1", labels=labels, command=["sleep", "600"])
    yield container
    engine.remove_container(container.id)
