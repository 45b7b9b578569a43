"""Environment variables that look like settings and are none, or cannot be used."""

from __future__ import annotations

from typing import Any

import pytest

from portal import config


@pytest.mark.parametrize("name", ["SLIPWAY_REDIS_URL", "SLIPWAY_DATABASE_URL", "SLIPWAY_ALOWED_HOSTS"])
def test_a_variable_that_no_setting_reads_is_refused(name: str, monkeypatch: Any) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(config.ConfigError, match=name):
        config.refuse_unknown()


@pytest.mark.parametrize("url", ["unix:///run/redis.sock", "redis.example:6379", "memory://"])
def test_a_broker_that_celery_cannot_use_is_refused_at_the_start(url: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(config.ConfigError, match="REDIS_URL"):
        config.load()
