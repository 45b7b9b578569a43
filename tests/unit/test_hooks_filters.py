"""Which branches, tags and files a list of patterns lets in."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listings.hooks import filters
from listings.problems import ProblemError


@pytest.mark.parametrize(
    ("patterns", "name", "selected"),
    [
        ("", "main", False),
        ("main", "main", True),
        ("main", "Main", False),
        ("main", "maintenance", False),
        ("*", "main", True),
        ("*", "feature/x", False),
        ("**", "feature/x/y", True),
        ("feature/*", "feature/x", True),
        ("feature/*", "feature/x/y", False),
        ("feature/**", "feature/x/y", True),
        ("feature/**", "feature", False),
        ("feature/", "feature/x/y", True),
        ("**/x", "x", True),
        ("**/x", "a/b/x", True),
        ("a/**/x", "a/x", True),
        ("a/**/x", "a/b/c/x", True),
        ("a/**/x", "b/a/x", False),
        ("**/*.py", "src/a/b.py", True),
        ("/src/*.py", "src/b.py", True),
        ("v[0-9]*", "v1.2.3", True),
        ("v[!0-9]*", "v1.2.3", False),
        ("v?", "v1", True),
        ("a?b", "a/b", False),
        ("** !wip/**", "main", True),
        ("** !wip/**", "wip/x", False),
        ("** !wip/** wip/keep", "wip/keep", True),
        ("!wip/**", "main", True),
        ("!wip/**", "wip/x", False),
        ("main !main", "main", False),
        ("a.c", "abc", False),
        ("(a|b)", "a", False),
        ("büro/*", "büro/ä", True),
    ],
)
def test_patterns(patterns: str, name: str, selected: bool) -> None:
    assert filters.selects(filters.parse(patterns.split()), name) is selected


@pytest.mark.parametrize("pattern", ["!", "!!a", "a**", "**.py", "a b", "x" * 201, "a\0b", "a\u202eb"])
def test_patterns_that_mean_nothing_are_refused(pattern: str) -> None:
    with pytest.raises(ProblemError) as caught:
        filters.parse([pattern])
    assert caught.value.code == "HOOK-PATTERN"


def test_too_many_patterns_are_refused() -> None:
    with pytest.raises(ProblemError):
        filters.parse([f"p{n}" for n in range(51)])


def test_empty_lines_mean_nothing() -> None:
    assert filters.parse(["", "  main ", "\t"]) == ["main"]


@pytest.mark.parametrize("pattern", ["*a*a*a*a*a*a*a*a*a*b", "**/*a*/**/*a*/**/*a*/**/*a*/**/b", "[a-z]*" * 30 + "0"])
def test_no_pattern_takes_long_whatever_the_name(pattern: str) -> None:
    began = time.process_time()
    for name in ("a" * 255, "/".join(["aa"] * 80), "a/" * 120 + "c"):
        filters.selects([pattern], name)
    assert time.process_time() - began < 2


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=60))
def test_any_accepted_pattern_can_be_asked(pattern: str, name: str) -> None:
    try:
        parsed = filters.parse([pattern])
    except ProblemError:
        return
    assert filters.selects(parsed, name) in (True, False)


@given(st.lists(st.text(alphabet="ab/.", min_size=1, max_size=8), max_size=5))
def test_everything_but_is_everything_else(names: list[str]) -> None:
    for name in names:
        assert filters.selects(["**"], name)
        assert filters.selects(["!a"], name) is (name != "a")
