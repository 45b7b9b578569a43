"""What the portal loads before it answers anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STARTED = """
import sys
import threading
import uuid
import portal.asgi
from portal import celery
celery.app.conf.broker_url = "redis://127.0.0.1:1/0"  # where nobody listens
before = set(sys.modules)
celery.ask_to_plan(uuid.uuid4())
for thread in threading.enumerate():
    if thread.name == "hint":
        thread.join()
print("loaded:", *(name for name in set(sys.modules) - before if name.startswith(("celery", "kombu", "redis"))))
"""


def test_nobody_waits_until_what_sends_tasks_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", STARTED], cwd=ROOT, env=os.environ, capture_output=True, check=True)
    assert done.stdout.decode().splitlines()[-1] == "loaded:"
