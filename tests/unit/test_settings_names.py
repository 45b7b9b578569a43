"""Names of environment variables that look like settings and are none."""

from __future__ import annotations

from typing import Any

import pytest

from portal import config


@pytest.mark.parametrize("name", ["SLIPWAY_REDIS_URL", "SLIPWAY_DATABASE_URL", "SLIPWAY_ALOWED_HOSTS"])
def test_a_variable_that_no_setting_reads_is_refused(name: str, monkeypatch: Any) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(config.ConfigError, match=name):
        config.refuse_unknown()
