"""The browser of the end-to-end tests: the distribution's Chromium, driven by its path."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VARIABLE = "CHROMIUM_EXECUTABLE"


def find() -> str:
    """The path of a Chromium; empty if there is none."""
    return os.environ.get(VARIABLE, "") or next((path for name in NAMES if (path := shutil.which(name))), "")


def needs_packages() -> list[str]:
    return [] if find() else ["chromium"]
