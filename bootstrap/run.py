"""Running short commands: quiet when they work, their last lines when they do not."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bootstrap.errors import SetupError
from bootstrap.home import ROOT

SHOWN_LINES = 25


def run(argv: Sequence[object], what: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> str:
    """Run a command to its end and return what it printed. Raises SetupError with its last lines if it fails."""
    try:
        done = subprocess.run(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
    except FileNotFoundError as error:
        raise SetupError(f"{what}: the program {argv[0]} is missing.") from error
    if done.returncode:
        shown = "\n".join(done.stdout.splitlines()[-SHOWN_LINES:])
        raise SetupError(f"{what} failed (code {done.returncode}): {' '.join(map(str, argv))}\n{shown}")
    return done.stdout


def show(argv: Sequence[object], env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> int:
    """Run a command with its output on this terminal and return its exit code."""
    arguments = [str(part) for part in argv]
    return subprocess.run(arguments, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, cwd=cwd).returncode
