"""What the reports of pytest say, added up."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Count:
    """What the reports of all runs add up to."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    only_alone: list[str] = field(default_factory=list)

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

    def passed_alone(self, tests: list[str], report: Path) -> int:
        """Count failed ``tests`` as passed if ``report``, of a run of them alone, says so. Returns 0 then, else 1."""
        second = Count()
        second.add(report)
        if (second.passed, second.failed, second.skipped) != (len(tests), 0, 0):
            return 1
        self.failed -= len(tests)
        self.passed += len(tests)
        self.only_alone += tests
        return 0


def failed_tests(report: Path) -> list[str]:
    """What failed, as pytest names it. Empty if any failure cannot be named: a process that died, a cut report."""
    try:
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return []
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    if any(not case.get("file") or _died(case) for case in failed):
        return []
    return list(dict.fromkeys(map(_node_id, failed)))


def _node_id(case: ElementTree.Element) -> str:
    """tests/engine/test_push.py::TestPush::test_name; the class is what the module's name leaves of the classname."""
    file, name = str(case.get("file")), str(case.get("name"))
    classes = str(case.get("classname")).removeprefix(file.removesuffix(".py").replace("/", ".")).strip(".")
    return "::".join([file, *filter(None, classes.split(".")), name])


def _died(case: ElementTree.Element) -> bool:
    """pytest-xdist names the test that took its process with it; of that process's other tests nothing is known."""
    told = [*case.findall("failure"), *case.findall("error")]
    return any("crashed while running" in str(each.get("message")) for each in told)
