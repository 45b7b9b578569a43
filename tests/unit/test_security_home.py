"""What lies below var/ is its owner's alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap import setup
from bootstrap.home import Home


def test_only_its_owner_enters_the_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / "var"
    place.mkdir(mode=0o755)
    monkeypatch.setattr(setup, "SHARED", Home(place))
    with setup.exclusive():
        assert place.stat().st_mode & 0o777 == 0o700
