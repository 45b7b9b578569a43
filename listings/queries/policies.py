"""The policy in force as tables, and what each earlier one changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from listings.models import Policy
from listings.policy_defaults import DEFAULT_POLICY, EVERY_VERSION, MARKETPLACE_PAGE
from listings.reports import Severity
from listings.services import verdicts

#: ID in /etc/os-release -> the name people know.
_NAMES = {
    "debian": "Debian", "ubuntu": "Ubuntu", "centos": "CentOS", "ol": "Oracle Linux", "alpine": "Alpine Linux",
    "amzn": "Amazon Linux", "rhel": "Red Hat Enterprise Linux", "rocky": "Rocky Linux", "almalinux": "AlmaLinux",
    "fedora": "Fedora", "sles": "SUSE Linux Enterprise Server", "opensuse-leap": "openSUSE Leap", "arch": "Arch Linux",
    "wolfi": "Wolfi", "photon": "Photon OS",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class System:
    """One operating system that passes. ``versions`` are (version, named on the Marketplace page)."""

    id: str
    name: str
    every: bool
    versions: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Amendment:
    """One policy; ``lines`` are ("+" | "-" | "~", what changed against the one before)."""

    policy: Policy
    lines: tuple[tuple[str, str], ...]


def policy_page() -> dict[str, Any]:
    """The policy in force, its systems, its severities, and the amendments, newest first."""
    rows = list(Policy.objects.select_related("author")[:50])
    befores = [*(row.body for row in rows[1:]), *(_before(row) for row in rows[-1:])]
    current = verdicts.current_policy()
    blocking = current.body.get("blocking_severities", [])
    return {
        "policy": current,
        "in_force": rows[0] if rows else None,
        "systems": systems(current.body),
        "severities": [(severity.value, severity.value in blocking) for severity in Severity],
        "amendments": [
            Amendment(row, tuple(differences(before, row.body))) for row, before in zip(rows, befores, strict=True)
        ],
    }


def _before(policy: Policy) -> dict[str, Any]:
    row = Policy.objects.filter(number__lt=policy.number).order_by("-number").first()
    return row.body if row else DEFAULT_POLICY


def systems(body: dict[str, Any]) -> list[System]:
    """The table of operating systems by name."""
    found = [
        System(
            os_id, os_name(os_id), EVERY_VERSION in versions,
            tuple((version, version in MARKETPLACE_PAGE.get(os_id, ())) for version in versions),
        )
        for os_id, versions in body.get("os", {}).items()
    ]  # fmt: skip
    return sorted(found, key=lambda system: system.name.lower())


def os_name(os_id: str) -> str:
    return _NAMES.get(os_id, os_id)


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str]]:
    """What an amendment changed: added, removed, changed."""
    lines: list[tuple[str, str]] = []
    old_table, new_table = before.get("os", {}), after.get("os", {})
    for os_id in dict.fromkeys([*old_table, *new_table]):
        old, new = old_table.get(os_id, []), new_table.get(os_id, [])
        for mark, versions in (("+", [v for v in new if v not in old]), ("-", [v for v in old if v not in new])):
            if versions:
                shown = ", ".join("every version" if v == EVERY_VERSION else v for v in versions)
                lines.append((mark, f"{os_name(os_id)} {shown}"))
    if before.get("outgoing") != after.get("outgoing"):
        lines.append(("~", f"outgoing calls: {before.get('outgoing')} → {after.get('outgoing')}"))
    old, new = before.get("blocking_severities", []), after.get("blocking_severities", [])
    lines += [("+", f"{name} findings close the gate") for name in new if name not in old]
    lines += [("-", f"{name} findings close the gate") for name in old if name not in new]
    return lines
