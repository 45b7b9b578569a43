"""The clock's process: Celery's beat, which notes when it last sent something, so that its health can be told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from celery.__main__ import main as celery
from celery.signals import after_task_publish

SENT = Path("/tmp/clock-sent")


@after_task_publish.connect
def note(**told: Any) -> None:
    SENT.touch()


if __name__ == "__main__":
    schedule = ["--schedule", "/tmp/beat-schedule", "--pidfile", ""]
    sys.argv = ["celery", "--quiet", "-A", "portal", "beat", *schedule, "--loglevel", "INFO"]
    celery()
