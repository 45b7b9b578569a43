"""What the tests say of themselves by marks, without running them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent
Found = dict[str, list[tuple[tuple[Any, ...], str]]]


class _Collector:
    """A pytest plugin that keeps the arguments of each mark, and the test that has it."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.found: Found = {name: [] for name in names}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for name, found in self.found.items():
                found += [(mark.args, item.nodeid.split("[")[0]) for mark in item.iter_markers(name)]


def collect(*names: str) -> Found:
    """Each mark of every test, by the mark's name. Raises SystemExit if the tests cannot be collected."""
    collector = _Collector(names)
    options = ["--collect-only", "-o", "addopts=--strict-markers", "-p", "no:terminal", "-p", "no:cacheprovider"]
    code = pytest.main([*options, str(TESTS)], plugins=[collector])
    if code != pytest.ExitCode.OK:
        raise SystemExit(f"the tests cannot be collected ({code!r})")
    return collector.found
