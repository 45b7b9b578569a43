"""The shipped table of operating systems, how versions are held against it, and what a policy may say."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from listings.policy_defaults import DEFAULT_POLICY, os_listed, validate_policy

TABLE = DEFAULT_POLICY["os"]


def test_shipped_table_is_the_marketplace_pages_list() -> None:
    named = {
        "debian": "6.0 7 8 9 10",
        "ubuntu": "12.04 12.10 13.04 14.04 14.10 15.04 15.10 16.04 16.10 17.04 17.10 18.04 18.10",
        "centos": "5 6 7",
        "ol": "5 6 7",
        "alpine": "3.3 3.4 3.5",
        "amzn": "*",
    }
    assert {os_id: " ".join(versions) for os_id, versions in TABLE.items()} == named


@pytest.mark.parametrize(
    ("os_id", "version"),
    [
        ("debian", "10"),
        ("debian", "10.13"),
        ("debian", "7.11"),
        ("debian", "6.0.10"),
        ("debian", "6.0"),
        ("debian", "6"),
        ("ubuntu", "18.04"),
        ("ubuntu", "18.04.6"),
        ("ubuntu", "12.10"),
        ("centos", "7"),
        ("centos", "7.9.2009"),
        ("centos", "5.11"),
        ("ol", "7.9"),
        ("ol", "6.10"),
        ("alpine", "3.5.2"),
        ("alpine", "3.3.3"),
        ("alpine", "3.4"),
        ("amzn", "2"),
        ("amzn", "2018.03"),
        ("amzn", "2023"),
        ("amzn", ""),
        ("Debian", " 10 "),
    ],
)
def test_listed(os_id: str, version: str) -> None:
    assert os_listed(TABLE, os_id, version)


@pytest.mark.parametrize(
    ("os_id", "version"),
    [
        ("debian", "12"),
        ("debian", "11"),
        ("debian", "1"),
        ("debian", "100"),
        ("debian", "5.0.10"),
        ("debian", ""),
        ("ubuntu", "13.10"),
        ("ubuntu", "18"),
        ("ubuntu", "20.04"),
        ("ubuntu", "18.040"),
        ("centos", "8"),
        ("centos", "75"),
        ("ol", "8.9"),
        ("alpine", "3.50"),
        ("alpine", "3.6"),
        ("alpine", "3"),
        ("alpine", "3.21.0"),
        ("rhel", "7.9"),
        ("", "10"),
        ("fedora", "44"),
        ("distroless", ""),
    ],
)
def test_not_listed(os_id: str, version: str) -> None:
    assert not os_listed(TABLE, os_id, version)


def test_shipped_policy_is_valid() -> None:
    assert validate_policy(DEFAULT_POLICY) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"os": []}, "os"),
        ({"os": {"Debian": ["10"]}}, "Debian"),
        ({"os": {"debian": "10"}}, "debian"),
        ({"os": {"debian": []}}, "debian"),
        ({"os": {"debian": [10]}}, "debian"),
        ({"outgoing": "ignore"}, "outgoing"),
        ({"blocking_severities": ["terrible"]}, "blocking_severities"),
        ({"blocking_severities": "high"}, "blocking_severities"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_policy_is_told_where_it_is_wrong(change: dict[str, Any], named: str) -> None:
    errors = validate_policy(copy.deepcopy(DEFAULT_POLICY) | change)
    assert len(errors) == 1
    assert named in errors[0]


@pytest.mark.parametrize("body", [None, [], "os", {}])
def test_policy_without_rules_is_refused(body: object) -> None:
    assert validate_policy(body)
