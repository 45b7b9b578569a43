"""The policy that Slipway ships, what a policy may say, and how its table of operating systems is read. Pure.

A policy's body is ``{"os": {ID: [version, ...]}, "outgoing": "warn" | "fail", "blocking_severities": [...]}``, where ID
is the ``ID`` of ``/etc/os-release`` and a version of ``"*"`` stands for every version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from listings.reports import Severity

EVERY_VERSION = "*"

#: Exactly the systems that the Marketplace page names (SageMaker developer guide, "Develop Algorithms and Models in
#: Amazon SageMaker", requirements for AWS Marketplace; as read in November 2026).
MARKETPLACE_PAGE: Mapping[str, tuple[str, ...]] = {
    "debian": ("6.0", "7", "8", "9", "10"),
    "ubuntu": (
        "12.04", "12.10", "13.04", "14.04", "14.10", "15.04", "15.10", "16.04", "16.10", "17.04", "17.10", "18.04",
        "18.10",
    ),
    "centos": ("5", "6", "7"),
    "ol": ("5", "6", "7"),
    "alpine": ("3.3", "3.4", "3.5"),
    "amzn": (EVERY_VERSION,),
}  # fmt: skip

DEFAULT_POLICY: dict[str, Any] = {
    "os": {os_id: list(versions) for os_id, versions in MARKETPLACE_PAGE.items()},
    "outgoing": "warn",
    "blocking_severities": [Severity.CRITICAL.value, Severity.HIGH.value],
}


def os_listed(table: Mapping[str, Sequence[str]], os_id: str, version: str) -> bool:
    """Whether ``table`` lists the system. A listed version covers its own point releases: 3.5 covers 3.5.2, 7 covers
    7.11; and zeros at the end do not count: 6.0 is 6. An unknown version is listed only by ``*``."""
    listed = table.get(os_id.strip().lower(), ())
    if EVERY_VERSION in listed:
        return True
    actual = version.strip().split(".")
    return bool(version.strip()) and any(_covers(_significant(entry), actual) for entry in listed)


def _significant(version: str) -> list[str]:
    parts = version.strip().split(".")
    # Debian 6.0 calls itself 6 as well; an Ubuntu 18 that were no 18.04 does not exist, so nothing else is let in.
    return parts[:1] if len(parts) > 1 and set("".join(parts[1:])) == {"0"} else parts


def _covers(entry: list[str], actual: list[str]) -> bool:
    return actual[: len(entry)] == entry


def validate_policy(body: Any) -> list[str]:
    """What is wrong with a policy's body, in sentences; empty if nothing is."""
    if not isinstance(body, dict):
        return ["A policy is an object with the keys os, outgoing and blocking_severities."]
    rules = ", ".join(DEFAULT_POLICY)
    errors = [f"“{key}” is not a rule; there are {rules}." for key in body if key not in DEFAULT_POLICY]
    errors += [f"“{key}” is missing." for key in DEFAULT_POLICY if key not in body]
    if "os" in body:
        errors += _table_errors(body["os"])
    if body.get("outgoing", "warn") not in ("warn", "fail"):
        errors.append("“outgoing” is warn or fail.")
    severities = body.get("blocking_severities", [])
    known = [severity.value for severity in Severity]
    if not isinstance(severities, list) or any(severity not in known for severity in severities):
        errors.append(f"“blocking_severities” is a list of {', '.join(known)}.")
    return errors


def _table_errors(table: Any) -> list[str]:
    if not isinstance(table, dict):
        return ["“os” is an object: the ID of each system with a list of its versions."]
    errors = []
    for os_id, versions in table.items():
        if not isinstance(os_id, str) or os_id != os_id.strip().lower() or not os_id:
            errors.append(f"“os”: {os_id!r} is not an ID as in /etc/os-release, such as debian.")
        texts = isinstance(versions, list) and all(isinstance(item, str) and item.strip() for item in versions)
        if not texts or not versions:
            errors.append(f'“os”: {os_id} needs a list of versions as texts, or ["*"].')
    return errors
