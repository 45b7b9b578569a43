"""Fixtures for tests on the real engine. What a test makes carries an instance of its own and is removed after it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.engine.twin_fixtures import configure, staged, twin  # noqa: F401  fixtures
from tests.registry_fixtures import registry  # noqa: F401  a fixture
from workers.engine import Engine, connect


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    adapter = connect()
    yield adapter
    adapter.close()


@pytest.fixture
def instance(engine: Engine) -> Iterator[str]:
    """A Slipway instance id of this test only; everything labelled with it is removed afterwards."""
    name = f"test-{uuid.uuid4()}"
    yield name
    engine.remove(engine.owned(name))
