"""Lines to copy for what the training runs find, in Python and Dockerfile, as most algorithms are written in."""

from __future__ import annotations

import dataclasses

from listings.reports import CheckOutcome
from workers.sandbox.phase import Outcome

SIGTERM_HANDLER = """\
import signal, sys

def stop(signum, frame):
    # save a checkpoint here, in less than 120 s
    sys.exit(143)

signal.signal(signal.SIGTERM, stop)  # first of all, before slow imports
"""
EXEC_FORM = """\
# exec form: process 1 is the program itself, which gets the signal
ENTRYPOINT ["/opt/program/start.sh"]
# and as the last line of start.sh:
exec python3 /opt/program/train.py
"""
FAILURE_FILE = """\
import sys, traceback

try:
    main()
except Exception as error:
    traceback.print_exc()
    with open("/opt/ml/output/failure", "w") as failure:
        failure.write(f"{type(error).__name__}: {error}")
    sys.exit(1)
"""
CHECKED_VALUE = """\
value = int(hyperparameters["{name}"])  # every hyperparameter is text
if not least <= value <= most:
    raise ValueError(f"{name} must be from {{least}} to {{most}}, not {{value}}")
"""
OWN_NAMES = """\
# a tuning job adds a hyperparameter of its own, whose name begins with an underscore
hyperparameters = {name: value for name, value in hyperparameters.items() if not name.startswith("_")}
# with argparse: parser.parse_known_args() in place of parser.parse_args()
"""
PIPE_READER = """\
import os, time

def epoch_of(channel, number):
    path = f"/opt/ml/input/data/{channel}_{number}"
    while not os.path.exists(path):  # it appears once the epoch before has been opened
        time.sleep(0.1)
    with open(path, "rb") as pipe:  # one stream: read it from its start to its end, do not seek
        yield from pipe
"""


def attach(outcome: Outcome, patch: str) -> None:
    """The patch to the check just added, unless that passed."""
    last = outcome.checks[-1]
    if last.outcome in (CheckOutcome.WARN, CheckOutcome.FAIL):
        outcome.checks[-1] = dataclasses.replace(last, patch=patch)
