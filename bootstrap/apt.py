"""Packages of the distribution: only as root on Debian or Ubuntu, announced first, and no service starts itself."""

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from bootstrap.errors import SetupError
from bootstrap.report import say, step
from bootstrap.run import run

POLICY = Path("/usr/sbin/policy-rc.d")
# 101 is what invoke-rc.d takes for "forbidden by policy".
POLICY_TEXT = "#!/bin/sh\n# Put here by Slipway's set-up while it installs packages, and taken away after.\nexit 101\n"
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}


def is_root() -> bool:
    return os.geteuid() == 0


def release() -> dict[str, str]:
    """The host's /etc/os-release; empty on other systems than Linux."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def is_debian_like() -> bool:
    known = release()
    return bool({"debian", "ubuntu"} & {known.get("ID", ""), *known.get("ID_LIKE", "").split()})


def can_install() -> bool:
    return is_root() and is_debian_like() and shutil.which("apt-get") is not None


def has_candidate(package: str) -> bool:
    """Whether the package lists at hand offer this package."""
    shown = run(["apt-cache", "policy", package], "Asking apt about a package")
    return "Candidate:" in shown and "Candidate: (none)" not in shown


def refresh() -> None:
    """Fetch the package lists."""
    with step("Package lists of the distribution"):
        run(["apt-get", "-q", "update"], "apt-get update", env=QUIET)


def announce(packages: Sequence[str], reason: str) -> None:
    """Say what is about to be installed, and why. Raises SetupError where that is not possible."""
    if not can_install():
        raise SetupError(
            f"{reason} needs {', '.join(packages)}. Only root on Debian or Ubuntu can have it installed from here: "
            f"install it yourself, or run this once as root."
        )
    say(f"Installing distribution packages for {reason}: {' '.join(packages)}")


def install(packages: Sequence[str]) -> None:
    """Install announced packages without their recommendations."""
    if not packages:
        return
    if not all(has_candidate(package) for package in packages):
        refresh()
    try:
        _install(packages)
    except SetupError:
        # Lists that are weeks old name files that the mirrors no longer have.
        refresh()
        _install(packages)


def _install(packages: Sequence[str]) -> None:
    guard = not POLICY.exists()
    if guard:
        POLICY.write_text(POLICY_TEXT)
        POLICY.chmod(0o755)
    try:
        with step(f"apt-get install {' '.join(packages)}"):
            command = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120", "--no-install-recommends", "install"]
            run([*command, *packages], "apt-get install", env=QUIET)
    finally:
        if guard:
            POLICY.unlink(missing_ok=True)
