"""The bad input that Slipway is held to, and the mark that names the test which provokes each case."""

from __future__ import annotations

import pytest

from listings import problems

#: Each is provoked on real parts; the test asserts code, owner and final states, and a retry that succeeds.
CASES = (
    "not an archive", "path traversal", "symlink escape", "archive bomb", "missing Dockerfile",
    "invalid slipway.yaml", "another team's staged image in FROM", "build failure", "build that forks",
    "build that eats memory", "no train program", "container that exits", "never answers /ping", "prints forever",
    "container that forks", "container that eats memory", "container that fills the disk",
    "unreachable Git", "unknown ref", "empty repository", "5 GB repository", "submodule to file://",
    "Git URL to a private address", "Git URL to the metadata address", "private address by DNS",
    "private address by redirect", "image not found", "wrong credentials", "a manifest without amd64",
    "wrong signature", "replayed old timestamp", "a 30 MB body", "JSON that is not the provider's",
    "engine down", "registry down", "broker down", "database briefly down", "host disk full",
)  # fmt: skip


def provokes(code: str, case: str) -> pytest.MarkDecorator:
    """Mark a test as the one that provokes ``case`` and meets the problem ``code``; a code of "" needs no problem."""
    if case not in CASES:
        raise ValueError(f"{case!r} is not one of CASES")
    if code:
        problems.get(code)
    return pytest.mark.provokes(code, case)
