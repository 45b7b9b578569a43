"""The numbers that pushes make are semantic versions that fit, sort and never meet."""

from __future__ import annotations

import re

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from listings.hooks import numbers
from listings.services.versions import number_key


@pytest.mark.parametrize(
    ("tag", "number"),
    [
        ("v1.2.3", "1.2.3"),
        ("1.2.3", "1.2.3"),
        ("v1.2.3-rc.1", "1.2.3-rc.1"),
        ("v0.0.0", "0.0.0"),
        ("V1.2.3", None),
        ("vv1.2.3", None),
        ("v1.2", None),
        ("v1.2.3.4", None),
        ("v01.2.3", None),
        ("v1.2.3-01", None),
        ("v1.2.3+b", None),
        ("release-1.2.3", None),
        ("v1.2.3\n", None),
        ("v١.٢.٣", None),
        ("", None),
        ("v" + "9" * 80 + ".0.0", None),
    ],
)
def test_tags(tag: str, number: str | None) -> None:
    assert numbers.tag_number(tag) == number


@pytest.mark.parametrize(
    ("branch", "identifier"),
    [
        ("main", "main"),
        ("feature/add-x", "feature-add-x"),
        ("büro/ä", "b-ro"),
        ("2024", "b2024"),
        ("007", "b007"),
        ("--", "branch"),
        ("日本", "branch"),
        ("a_b.c", "a-b-c"),
        ("$(id);<b>", "id-b"),
    ],
)
def test_branches(branch: str, identifier: str) -> None:
    assert numbers.identifier(branch) == identifier


@given(st.text(max_size=300), st.integers(1, 9_999_999))
def test_any_branch_makes_a_number_that_the_column_holds(branch: str, count: int) -> None:
    for highest in (None, "1.2.3", "9999999999.9999999999.9999999998"):
        prefix = numbers.branch_prefix(highest, branch)
        number = numbers.next_number(prefix, [f"{prefix}{count - 1}"])
        assert number == f"{prefix}{count}"
        assert len(number) <= 64
        assert len(number_key(number)) <= 200
        parsed = semver.Version.parse(number)
        assert parsed > semver.Version.parse(highest or "0.0.0")
        assert parsed < semver.Version.parse(highest or "0.0.0").bump_patch()
        assert re.fullmatch(r"[0-9A-Za-z.-]+", number)


@given(st.text(alphabet="abcdef/-", min_size=60, max_size=200), st.text(alphabet="abcdef/-", min_size=60, max_size=200))
def test_long_branches_do_not_meet(one: str, other: str) -> None:
    if one.strip("-/") != other.strip("-/"):
        same = numbers.branch_prefix("1.0.0", one) == numbers.branch_prefix("1.0.0", other)
        assert not same or re.sub("[-/]+", "-", one).strip("-") == re.sub("[-/]+", "-", other).strip("-")


@given(st.lists(st.integers(0, 50), max_size=20))
def test_counters_go_on(counters: list[int]) -> None:
    taken = [f"1.0.1-main.{n}" for n in counters] + ["1.0.1-main.x", "1.0.1-main-2.99", "1.0.1-Main.77", "1.0.1"]
    assert numbers.next_number("1.0.1-main.", taken) == f"1.0.1-main.{max(counters, default=0) + 1}"
