"""Texts to copy for failures of a server whose remedy is known to the line."""

from __future__ import annotations

import dataclasses

from listings.reports import CheckOutcome
from workers.sandbox.phase import Outcome

PATCHES = {
    "TEST-CHARSET": """\
content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
""",
    "TEST-WORKER-TIMEOUT": """\
gunicorn --timeout 65 --bind 0.0.0.0:8080 …
""",
    "TEST-MODEL-WRITE": """\
# Dockerfile
ENV HF_HOME=/tmp/hf MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba XDG_CACHE_HOME=/tmp/cache
""",
    "TEST-EXECUTION-PARAMETERS": """\
{"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}
""",
    "TEST-LARGE-BODY": """\
# nginx.conf, in the block "http" or "server"
client_max_body_size 100m;
""",
    "TEST-SERVE-STOP": """\
# Dockerfile: the exec form, so that SIGTERM reaches the server and no shell
ENTRYPOINT ["python3", "/opt/program/serve.py"]
""",
}


def add_patches(outcome: Outcome) -> None:
    """Give each check that did not pass the patch for its code, where there is one that fits."""
    for index, check in enumerate(outcome.checks):
        patch = PATCHES.get(check.code, "")
        if (
            patch
            and not check.patch
            and check.outcome in (CheckOutcome.WARN, CheckOutcome.FAIL)
            and _fits(check.params)
        ):
            outcome.checks[index] = dataclasses.replace(check, patch=patch)


def _fits(params: dict[str, str]) -> bool:
    """A large body is nginx's to let through only where it was called too large."""
    return "megabytes" not in params or "status 413" in params.get("reason", "")
