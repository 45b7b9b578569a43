"""Health checks of the containers: `healthy.py web`, `healthy.py worker` or `healthy.py clock`; exit code 0 or 1.

Kept light: they run every few seconds on every container, so Django is not loaded.
"""

from __future__ import annotations

import http.client
import os
import sys
import time
from pathlib import Path

SILENT_SECONDS = 30
SENT = Path("/tmp/clock-sent")

WORKER = """
SELECT slots > 0 AND seen_at > now() - interval '30 seconds'
FROM listings_workerprocess WHERE name = %s
"""


def web() -> bool:
    host = os.environ["SLIPWAY_ALLOWED_HOSTS"].split(",")[0].strip().lstrip(".")
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=5)
    connection.request("GET", "/healthz", headers={"Host": host})
    return connection.getresponse().status == http.client.OK


def worker() -> bool:
    """Whether this container's worker has signed lately, and has slots: without an engine it has none."""
    import psycopg

    with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5) as link:
        row = link.execute(WORKER, (node_name(),)).fetchone()
    return bool(row and row[0])


def node_name() -> str:
    """Celery's name of this container's worker, from the command line of the process that runs it."""
    for path in sorted(Path("/proc").glob("[0-9]*/cmdline"), key=lambda path: int(path.parts[2])):
        words = path.read_text().split("\0")
        if "worker" in words and "-n" in words:
            return words[words.index("-n") + 1]
    return ""


def clock() -> bool:
    """Whether the clock has sent a tick lately, and the broker has taken it."""
    return SENT.stat().st_mtime > time.time() - SILENT_SECONDS


def main() -> int:
    check = {"web": web, "worker": worker, "clock": clock}[sys.argv[1]]
    try:
        return 0 if check() else 1
    except Exception as error:
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
