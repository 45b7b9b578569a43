"""What a worker's parent loads before its pool is forked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from listings.states import StepName

ROOT = Path(__file__).resolve().parents[2]
STARTED = """
import sys
import django
django.setup()
import workers.tasks
from celery.signals import worker_init
before = {name for name in sys.modules if name.startswith("workers.steps.")}
worker_init.send(sender=None)
print(*before)
print(*(name for name in sys.modules if name.startswith("workers.steps.")))
"""


def test_a_workers_parent_loads_every_step_so_that_its_pool_need_not() -> None:
    done = subprocess.run([sys.executable, "-c", STARTED], cwd=ROOT, env=os.environ, capture_output=True, check=True)
    before, after = (set(line.split()) for line in done.stdout.decode().splitlines()[-2:])
    steps = {f"workers.steps.{name.value}" for name in StepName}
    assert not steps <= before
    assert steps <= after
