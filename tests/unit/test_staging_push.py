"""A push to the staging registry that breaks off is tried again; one that is refused is not."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest

from listings.problems import ProblemError
from tests.engine.context import MemoryLog
from workers.building import staging
from workers.registries import Registry
from workers.steps.contract import Stop

REGISTRY = Registry("http://registry:5000", "registry:5000", "registry:5000", None)
EOF = 'Patch "http://registry:5000/v2/staging/x/blobs/uploads/1": EOF'


def push(monkeypatch: pytest.MonkeyPatch, ends: list[str]) -> tuple[staging.Staged, MagicMock, MemoryLog]:
    """``ends``: of each push in turn, a digest or what the engine said."""

    def pushed(*_: Any) -> str:
        end = ends.pop(0)
        if end.startswith("sha256:"):
            return end
        raise ProblemError("BUILD-PUSH-REFUSED", message=end)

    monkeypatch.setattr(staging, "AGAIN_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(staging, "_push", pushed)
    monkeypatch.setattr(staging, "_verified", lambda _, name, digest: staging.Staged(name, digest, "type"))
    engine, log = MagicMock(), MemoryLog()
    return staging.push(engine, "sha256:1", REGISTRY, "staging/x", log, Stop()), engine, log


def test_a_push_that_breaks_off_is_tried_again_under_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    staged, engine, log = push(monkeypatch, [EOF, "dial tcp: connection refused", "sha256:2"])
    assert staged.digest == "sha256:2"
    assert log.text().count("broke off") == 2
    engine.remove_image.assert_called_once()


def test_a_registry_that_stays_away_is_told_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProblemError) as caught:
        push(monkeypatch, [EOF, EOF, EOF, "sha256:2"])
    assert caught.value.code == "BUILD-PUSH-REFUSED"


def test_a_refusal_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = ["unauthorized: authentication required", "sha256:2"]
    with pytest.raises(ProblemError):
        push(monkeypatch, ends)
    assert ends == ["sha256:2"]
