"""`make test`: every suite on the databases it is meant for, and not one test skipped."""

import os
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from bootstrap import postgres
from bootstrap.home import PYTHON, ROOT, Home
from bootstrap.report import say
from bootstrap.run import show

TESTS = ROOT / "tests"
NO_TESTS_COLLECTED = 5


@dataclass(frozen=True)
class Suite:
    """One run of pytest: folders below tests/, on one database, by ``workers`` processes side by side.

    ``options`` are pytest's and those of tests/conftest.py.
    """

    name: str
    folders: tuple[str, ...]
    database: str
    workers: int
    options: tuple[str, ...] = ()


PLAN = (
    Suite("sqlite", ("unit", "services", "pages"), "sqlite", workers=3, options=("--no-browser",)),
    # Every victim on PostgreSQL; on SQLite, whose locks are other ones, a forked child and a whole host.
    Suite("sqlite-crash", ("crash",), "sqlite", workers=4, options=("-k", "child or group")),
    Suite("postgresql", ("unit", "services", "pages"), "postgresql", workers=3, options=("--only-database",)),
    Suite("postgresql-crash", ("crash",), "postgresql", workers=3),
    Suite("engine", ("engine",), "postgresql", workers=3),
    Suite("outages", ("outages",), "postgresql", workers=2),
    Suite("e2e", ("e2e",), "postgresql", workers=1),
)


@dataclass
class Count:
    """What the reports of all runs add up to."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, report: Path) -> None:
        """Add one JUnit report; one that is missing or cut short counts as a failure."""
        try:
            suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
        except (OSError, ElementTree.ParseError):
            suites = []
        if not suites:
            self.failed += 1
        for suite in suites:
            total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            self.passed += max(0, total - skipped - failed)
            self.failed += failed
            self.skipped += skipped

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def has_tests(folder: Path) -> bool:
    return any(folder.rglob("test_*.py"))


def run(home: Home, env: dict[str, str], only: list[str]) -> int:
    """Run the plan, or the suites named, and return 0 only if all passed and none was skipped."""
    count, codes = Count(), []
    for suite in PLAN:
        if only and suite.name not in only:
            continue
        folders = [folder for name in suite.folders if has_tests(folder := TESTS / name)]
        if not folders:
            say(f"Suite {suite.name}: no tests in {', '.join(suite.folders)} yet.")
            continue
        report = home.path("reports", f"{suite.name}.xml")
        report.unlink(missing_ok=True)
        say(f"Suite {suite.name}")
        codes.append(_pytest(home, env, suite, folders, report))
        count.add(report)
    print(f"slipway: {count}", flush=True)
    if count.skipped:
        say("A skipped test proves nothing: every test must run.")
    good = codes and not any(codes) and not count.failed and not count.skipped
    return 0 if good else 1


def _pytest(home: Home, env: dict[str, str], suite: Suite, folders: list[Path], report: Path) -> int:
    url = postgres.ensure(home) if suite.database == "postgresql" else _sqlite(home)
    command = [PYTHON, "-m", "pytest", "-q", "-ra", "--tb=short", f"--junitxml={report}"]
    command += [*_workers(suite), *suite.options]
    code = show([*command, *folders], env={**env, "DATABASE_URL": url, "COLUMNS": os.environ.get("COLUMNS", "120")})
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
