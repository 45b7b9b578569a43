"""The verbs of `python3 -m bootstrap`. The Makefile calls them; `make help` lists the common ones."""

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence

from bootstrap import (
    apt,
    assets,
    compose_check,
    compose_env,
    engine,
    linting,
    postgres,
    processes,
    product,
    settings,
    setup,
    testing,
    venv,
)
from bootstrap.errors import SetupError
from bootstrap.home import DEMO, PYTHON, TEST, Home
from bootstrap.report import say
from bootstrap.run import show

INTERRUPTED = 130


def _set_up(home: Home, tests: bool = False) -> dict[str, str]:
    """Set up and start the backing services; returns the environment of the product's processes."""
    with setup.exclusive():
        backing = setup.SetUp(home, tests).run()
        database = postgres.ensure(home) if tests else ""
        env = settings.build(home, backing, product.portal_port(home), database)
        settings.save(home, env)
    return env


def _start_demo() -> dict[str, str]:
    env = _set_up(DEMO)
    setup.migrate(env)
    product.start(DEMO, env, product.portal_port(DEMO))
    return env


def _stop_started(home: Home, before: set[str]) -> None:
    """Stop what this command started. A second Ctrl-C does not cut that short."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopped = product.stop(home, keep=before)
    say(f"Stopped: {', '.join(stopped)}" if stopped else "Left everything as it was.")


def up(arguments: argparse.Namespace) -> int:
    """Set up and start everything, then return."""
    before = product.running(DEMO)
    try:
        env = _start_demo()
    except BaseException:
        _stop_started(DEMO, before)
        raise
    say(f"Slipway runs at {env['SLIPWAY_PUBLIC_URL']} (logs: {DEMO.var / 'log'}; stop: make down)")
    return 0


def down(arguments: argparse.Namespace) -> int:
    """Stop everything that was started here, the tests' services and an engine of our own included."""
    stopped = product.stop(TEST) + product.stop(DEMO)
    say(f"Stopped: {', '.join(stopped)}" if stopped else "Nothing was running.")
    return 0


def demo(arguments: argparse.Namespace) -> int:
    """Start everything, take two sample listings to published, and stay up until Ctrl-C."""
    before, code = product.running(DEMO), INTERRUPTED
    try:
        env = _start_demo()
        code = show([PYTHON, "manage.py", "demo"], env=env)
        if not arguments.once:
            if code:
                say("The demo did not get through. Slipway stays up, so that its pages can be looked at.")
            _stay()
        return code
    except KeyboardInterrupt:
        return code if not arguments.once else INTERRUPTED
    finally:
        _stop_started(DEMO, before)


def _stay() -> None:
    """Wait for Ctrl-C, and say at once if a process of ours ends before."""
    say("Running. Ctrl-C stops everything that this command started.")
    ours = product.running(DEMO)
    while True:
        time.sleep(1)
        for name in sorted(ours - product.running(DEMO)):
            ours.discard(name)
            say(f"{name} ended. Its log ({processes.log_path(DEMO, name)}) ends:\n{processes.tail(DEMO, name)}")


def test(arguments: argparse.Namespace) -> int:
    """Set up with Chromium and PostgreSQL, then run the whole test suite."""
    before = product.running(TEST)
    try:
        env = _set_up(TEST, tests=True)
        return testing.run(TEST, env, arguments.suites)
    finally:
        _stop_started(TEST, before)


def bench(arguments: argparse.Namespace) -> int:
    """Set up like the tests, then print how fast Slipway is, as ratios side by side."""
    before = product.running(TEST)
    try:
        env = _set_up(TEST, tests=True)
        return testing.bench(TEST, env, arguments.benches)
    finally:
        _stop_started(TEST, before)


def test_up(arguments: argparse.Namespace) -> int:
    """Set up and start what the tests need, and leave it running for single tests."""
    _set_up(TEST, tests=True)
    say("Run single tests with: python3 -m bootstrap exec --test var/venv/bin/pytest tests/unit")
    return 0


def _set_up_python() -> None:
    """The Python packages alone: enough for what starts no service."""
    with setup.exclusive():
        packages = venv.needs_packages()
        if packages:
            apt.announce(packages, "the Python packages")
            apt.install(packages)
        venv.ensure()


def lint(arguments: argparse.Namespace) -> int:
    """Check style, types, import rules, migrations and production settings."""
    _set_up_python()
    return linting.run()


def docs(arguments: argparse.Namespace) -> int:
    """Write docs/problems.md, and what the report page shows of docs/twin.md."""
    _set_up_python()
    return linting.write_docs()


def lock(arguments: argparse.Namespace) -> int:
    """Bring the three requirements*.txt to their .in files."""
    venv.compile_locks(arguments.upgrade)
    return 0


def execute(arguments: argparse.Namespace) -> int:
    """Run a command in the environment of the running demo, or of the tests."""
    home = TEST if arguments.test else DEMO
    env = settings.load(home)
    if not env:
        verb = "test-up" if arguments.test else "up"
        raise SetupError(f"There is no {settings.env_path(home)} yet: run python3 -m bootstrap {verb} first.")
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    return show(command, env=env)


def clean(arguments: argparse.Namespace) -> int:
    """Stop everything and remove all that set-up made: var/, and the copied front-end files."""
    down(arguments)
    engine.unmount_below(DEMO.var)
    shutil.rmtree(assets.VENDOR, ignore_errors=True)
    shutil.rmtree(DEMO.var, ignore_errors=True)
    return 0


def write_compose_env(arguments: argparse.Namespace) -> int:
    """Write .env for docker-compose.yml, with random secrets."""
    path = compose_env.write()
    say(f"{path} is written. Fill in its first part, then: docker-compose build && docker-compose up -d")
    return 0


def check_compose(arguments: argparse.Namespace) -> int:
    """Prove docker-compose.yml: publish, restart every service, back up, restore; then remove it all."""
    return compose_check.main(arguments.compose.split(), arguments.keep)


VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "up": up,
    "down": down,
    "demo": demo,
    "test": test,
    "test-up": test_up,
    "bench": bench,
    "lint": lint,
    "docs": docs,
    "lock": lock,
    "exec": execute,
    "clean": clean,
    "compose-env": write_compose_env,
    "compose-check": check_compose,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m bootstrap", description="Set up and run Slipway on this machine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    made = {name: verbs.add_parser(name, help=verb.__doc__, description=verb.__doc__) for name, verb in VERBS.items()}
    made["demo"].add_argument("--once", action="store_true", help="stop everything afterwards, and exit 0 or 1")
    made["compose-check"].add_argument("--compose", default="", help='the command, for example "docker compose"')
    made["compose-check"].add_argument("--keep", action="store_true", help="leave everything up afterwards")
    made["lock"].add_argument("--upgrade", action="store_true", help="to the newest versions that the .in files allow")
    names = [suite.name for suite in testing.PLAN]
    made["test"].add_argument("suites", nargs="*", metavar="SUITE", help=f"only some of: {', '.join(names)}")
    made["bench"].add_argument("benches", nargs="*", metavar="BENCH", help="only some of: pipeline, twin, live, pages")
    made["exec"].add_argument("--test", action="store_true", help="the environment of the tests")
    made["exec"].add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(words: Sequence[str]) -> int:
    """Run one verb and return its exit code."""
    arguments = _parser().parse_args(words)
    # A shell that starts this in the background leaves Ctrl-C ignored; `kill -INT` must work all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # `kill` and a closed terminal must stop what was started, just as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    setup.require_tidy_environment()
    try:
        venv.require_python()
        setup.require_own_files()
        return VERBS[arguments.verb](arguments)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED
