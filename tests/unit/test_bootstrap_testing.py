"""`make test`: what its runs add up to, and what becomes of a few failures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap import testing
from bootstrap.home import Home
from bootstrap.junit import Count, failed_tests


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """One suite of real parts, whatever the plan is."""
    monkeypatch.setattr(testing, "PLAN", (testing.Suite("engine", ("engine",), "sqlite", workers=3, real=True),))
    return monkeypatch


def junit(path: Path, **counts: int) -> Path:
    attributes = " ".join(f'{name}="{value}"' for name, value in counts.items())
    path.write_text(f"<testsuites><testsuite {attributes}/></testsuites>")
    return path


def test_counts_of_all_reports_are_added(tmp_path: Path) -> None:
    count = Count()
    count.add(junit(tmp_path / "a.xml", tests=10, failures=1, errors=1, skipped=2))
    count.add(junit(tmp_path / "b.xml", tests=5, failures=0, errors=0, skipped=0))
    assert str(count) == "11 passed, 2 failed, 2 skipped"


def test_a_report_that_is_missing_counts_as_a_failure(tmp_path: Path) -> None:
    count = Count()
    count.add(tmp_path / "none.xml")
    assert count.failed == 1


@pytest.mark.parametrize(("skipped", "code"), [(0, 0), (1, 1)])
def test_one_skipped_test_fails_the_whole_run(
    bare: pytest.MonkeyPatch, tmp_path: Path, skipped: int, code: int
) -> None:
    def green(home: Home, env: dict[str, str], suite: testing.Suite, folders: list[Path], report: Path) -> int:
        junit(report, tests=3, failures=0, errors=0, skipped=skipped)
        return 0

    bare.setattr(testing, "_pytest", green)
    assert testing.run(Home(tmp_path), {}, []) == code


TESTS = """
import pathlib
class TestOne:
    def test_good(self): pass
    def test_once(self):
        mark = pathlib.Path("mark")
        seen = mark.exists()
        mark.touch()
        assert seen
def test_bad(): assert False
"""


def real_report(folder: Path, *words: str) -> Path:
    """Of a real pytest in ``folder``."""
    report = folder / "report.xml"
    (folder / "pytest.ini").write_text("[pytest]\njunit_family = xunit1\n")
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:django", "-p", "no:randomly",
         f"--junitxml={report}", *words],
        cwd=folder, capture_output=True,
    )  # fmt: skip
    return report


def test_failures_are_named_as_pytest_takes_them(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(TESTS)
    failed = failed_tests(real_report(tmp_path))
    assert failed == ["test_x.py::TestOne::test_once", "test_x.py::test_bad"]
    count = Count()
    count.add(real_report(tmp_path, *failed))
    assert (count.passed, count.failed) == (1, 1)


def test_a_failure_without_a_place_cannot_be_tried_again(tmp_path: Path) -> None:
    report = tmp_path / "r.xml"
    report.write_text('<testsuites><testsuite><testcase name="gw0"><failure/></testcase></testsuite></testsuites>')
    assert failed_tests(report) == []
    assert failed_tests(tmp_path / "none.xml") == []


def test_a_process_that_died_is_not_tried_again(tmp_path: Path) -> None:
    report = tmp_path / "r.xml"
    report.write_text(
        '<testsuites><testsuite><testcase file="t.py" classname="t" name="test_a">'
        "<failure message=\"worker 'gw0' crashed while running 't.py::test_a'\"/>"
        "</testcase></testsuite></testsuites>"
    )
    assert failed_tests(report) == []


def test_a_session_that_was_cut_is_not_tried_again(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def cut(home: Home, env: dict[str, str], suite: testing.Suite, places: list[str], report: Path) -> int:
        case = '<testcase file="t.py" classname="t" name="test_a"><failure/></testcase>'
        report.write_text(f'<testsuites><testsuite tests="1" failures="1">{case}</testsuite></testsuites>')
        return 2

    bare.setattr(testing, "_pytest", cut)
    assert testing.run(Home(tmp_path), {}, []) == 1


@pytest.mark.parametrize(
    ("failures", "again", "code"), [(1, "pass", 0), (1, "fail", 1), (3, "pass", 0), (4, "pass", 1)]
)
def test_a_few_failures_are_tried_once_more_alone(
    bare: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str], failures: int, again: str, code: int
) -> None:
    ran: list[tuple[int, list[str]]] = []

    def pytest_once(home: Home, env: dict[str, str], suite: testing.Suite, places: list[str], report: Path) -> int:
        ran.append((suite.workers, [str(place) for place in places]))
        bad = failures if len(ran) == 1 or again == "fail" else 0
        total = 9 if len(ran) == 1 else failures
        cases = "".join(
            f'<testcase file="t.py" classname="t" name="test_{n}"><failure/></testcase>' for n in range(bad)
        )
        report.write_text(f'<testsuites><testsuite tests="{total}" failures="{bad}">{cases}</testsuite></testsuites>')
        return int(bad > 0)

    bare.setattr(testing, "_pytest", pytest_once)
    assert testing.run(Home(tmp_path), {}, []) == code
    said = capfd.readouterr().out
    if failures > testing.FEW:
        assert len(ran) == 1
    else:
        assert ran[1] == (1, [f"t.py::test_{n}" for n in range(failures)])
    assert ("slipway: 9 passed, 0 failed" in said) == (code == 0)
    assert ("passed alone" in said) == (code == 0)
