"""Fixtures of the crash tests: a stack, an engine, and a source that trains for a while."""

from __future__ import annotations

from tests.aws_fixtures import standin, standin_server
from tests.engine.conftest import engine
from tests.registry_fixtures import registry
from tests.stack import data_dir, stack

__all__ = ["data_dir", "engine", "registry", "stack", "standin", "standin_server"]
