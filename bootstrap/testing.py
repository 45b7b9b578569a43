"""`make test`: every suite on the databases it is meant for, and not one test skipped."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bootstrap import postgres
from bootstrap.home import PYTHON, ROOT, Home
from bootstrap.junit import Count, failed_tests
from bootstrap.report import say
from bootstrap.run import show

TESTS = ROOT / "tests"
TESTS_FAILED, NO_TESTS_COLLECTED = 1, 5
#: More failures than these in one suite are a broken product, not tests that were in each other's way.
FEW = 3


@dataclass(frozen=True)
class Suite:
    """One run of pytest: folders below tests/, on one database, by ``workers`` processes side by side.

    ``options`` are pytest's and those of tests/conftest.py. ``real``: its tests start processes, containers or
    browsers, whose time they share, so that a few failures are tried once more by themselves. ``by_name``: runs
    only when it is named.
    """

    name: str
    folders: tuple[str, ...]
    database: str
    workers: int
    options: tuple[str, ...] = ()
    real: bool = False
    by_name: bool = False


PLAN = (
    Suite("sqlite", ("unit", "services", "pages"), "sqlite", workers=3, options=("--no-browser",)),
    # Every victim on PostgreSQL; on SQLite, whose locks are other ones, a forked child and a whole host.
    Suite("sqlite-crash", ("crash",), "sqlite", workers=4, options=("-k", "child or group"), real=True),
    Suite(
        "postgresql", ("unit", "services", "pages"), "postgresql", workers=3, options=("--only-database",), real=True
    ),
    Suite("postgresql-crash", ("crash",), "postgresql", workers=3, real=True),
    Suite("engine", ("engine",), "postgresql", workers=4, real=True),
    Suite("outages", ("outages",), "postgresql", workers=2, real=True),
    # By name only, on a machine that does nothing else: it compares all that is free there before and after.
    Suite("hostile", ("hostile",), "postgresql", workers=1, real=True, by_name=True),
    Suite("e2e", ("e2e",), "postgresql", workers=1, real=True),
)


def has_tests(folder: Path) -> bool:
    return any(folder.rglob("test_*.py"))


def run(home: Home, env: dict[str, str], only: list[str]) -> int:
    """Run the plan, or the suites named, and return 0 only if all passed and none was skipped."""
    count, codes = Count(), []
    for suite in PLAN:
        if suite.name not in only if only else suite.by_name:
            continue
        folders = [folder for name in suite.folders if has_tests(folder := TESTS / name)]
        if not folders:
            say(f"Suite {suite.name}: no tests in {', '.join(suite.folders)} yet.")
            continue
        report = home.path("reports", f"{suite.name}.xml")
        report.unlink(missing_ok=True)
        say(f"Suite {suite.name}")
        code = _pytest(home, env, suite, folders, report)
        count.add(report)
        if code == TESTS_FAILED and suite.real and suite.workers > 1:
            code = _alone(home, env, suite, report, count)
        codes.append(code)
    print(f"slipway: {count}", flush=True)
    for test in count.only_alone:
        say(f"Failed beside others and passed alone, so look at what it shares: {test}")
    if count.skipped:
        say("A skipped test proves nothing: every test must run.")
    good = codes and not any(codes) and not count.failed and not count.skipped
    return 0 if good else 1


def _alone(home: Home, env: dict[str, str], suite: Suite, report: Path, count: Count) -> int:
    """Run the few failures of ``suite`` once more, with nothing beside them. 0 if all of them pass then."""
    tests = failed_tests(report)
    if not tests or len(tests) > FEW:
        return 1
    say(f"Suite {suite.name}: once more, alone: {', '.join(tests)}")
    again = report.with_name(f"{suite.name}-alone.xml")
    again.unlink(missing_ok=True)
    code = _pytest(home, env, replace(suite, workers=1, options=()), tests, again)
    return code or count.passed_alone(tests, again)


def _pytest(home: Home, env: dict[str, str], suite: Suite, places: Sequence[Path | str], report: Path) -> int:
    url = postgres.ensure(home) if suite.database == "postgresql" else _sqlite(home)
    command = [PYTHON, "-m", "pytest", "-q", "-ra", "--tb=short", f"--junitxml={report}", "-o", "junit_family=xunit1"]
    command += [*_workers(suite), *suite.options]
    code = show([*command, *places], env={**env, "DATABASE_URL": url, "COLUMNS": os.environ.get("COLUMNS", "120")})
    return 1 if code == NO_TESTS_COLLECTED else code


def bench(home: Home, env: dict[str, str], only: list[str]) -> int:
    """Run the benches, or those named, one after the other on PostgreSQL; they print what they found."""
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "python_files=bench_*.py"]
    command += ["-o", "python_functions=bench_*", "-o", "addopts=--strict-markers"]
    folders = [TESTS / "bench" / f"bench_{name}.py" for name in only] or [TESTS / "bench"]
    return show([*command, *folders], env={**env, "DATABASE_URL": postgres.ensure(home)})


def _workers(suite: Suite) -> list[str]:
    """Engine and crash tests mostly wait for containers, so they may outnumber the processors."""
    return ["-n", str(suite.workers), "--dist", "load"] if suite.workers > 1 else []


def _sqlite(home: Home) -> str:
    return f"sqlite:///{home.path('sqlite', 'tests.sqlite3')}"
