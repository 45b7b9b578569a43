"""The stand-in for AWS as a service: its registry password goes by file, for everybody may read a command line."""

from __future__ import annotations

import os
from pathlib import Path


def main() -> None:
    password = Path("/tmp/registry-password")
    password.touch(0o600)
    password.write_text(os.environ["SLIPWAY_STAGING_PASSWORD"])
    argv = ["python3", "-m", "workers.aws.standin", "--host", "0.0.0.0", "--port", "5555", "--seconds", "1"]
    argv += ["--registry", os.environ["SLIPWAY_STAGING_REGISTRY_WORKER"], "--registry-password-file", str(password)]
    argv += ["--registry-username", os.environ["SLIPWAY_STAGING_USERNAME"], "--state", "/state/state"]
    buckets = os.environ.get("STANDIN_BUCKETS", "").split()
    os.execvp(argv[0], [*argv, *(f"--bucket={name}" for name in buckets)])


if __name__ == "__main__":
    main()
