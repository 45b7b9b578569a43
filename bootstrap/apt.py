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
# What else would do, and what to know, where a person installs the package instead of this program.
HINTS = {
    "docker.io": "where it brings the engine, this user needs the engine's group too (sudo usermod -aG docker $USER, "
    "then sign in anew); an engine elsewhere is named by DOCKER_HOST.",
    "docker-registry": "or name a registry with SLIPWAY_STAGING_REGISTRY_ENGINE, SLIPWAY_STAGING_USERNAME and "
    "SLIPWAY_STAGING_PASSWORD. Debian also starts it as a service, on port 5000 and without a password; Slipway "
    "does not use that one: sudo systemctl disable --now docker-registry",
    "chromium": "or name a Chromium with CHROMIUM_EXECUTABLE.",
    "postgresql": "or name a server with DATABASE_URL.",
}


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
        raise SetupError(_left_to_root(packages, reason))
    say(f"Installing distribution packages for {reason}: {' '.join(packages)}")


def _left_to_root(packages: Sequence[str], reason: str) -> str:
    """What to install, as one line for a shell where there is apt, and what would do instead."""
    if is_debian_like():
        text = f"For {reason}, packages are missing that only root can install. Once that is done, run this again:\n\n"
        text += f"    sudo apt-get install --no-install-recommends {' '.join(packages)}\n"
    else:
        text = f"Missing for {reason}: what Debian calls {', '.join(packages)}. Install it, then run this again.\n"
    return text + "".join(f"\n{name}: {HINTS[name]}" for name in packages if name in HINTS)


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
