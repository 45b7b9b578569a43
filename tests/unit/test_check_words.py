"""How checks are worded: a skip tells no fault, and no template shows through."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from listings import problems
from listings.reports import CheckOutcome
from listings.twin import phases
from workers.sandbox import hosts
from workers.sandbox.serving.load import CODES as LOAD_CODES
from workers.sandbox.serving.run import PROBES

ROOT = Path(__file__).parent.parent.parent
CHECKS = [problem for problem in problems.all_problems() if problem.holds]


def skipped_in_code() -> set[str]:
    """Codes that workers hand back as skipped, as far as their source names them."""
    probes = {code for probe in PROBES for code in probe.codes}
    found = {"TEST-MEMORY", "TEST-SIZE", "TEST-INSTANCE", "TEST-TRAIN-TUNING", "TEST-TRAIN-STOP", hosts.CODE,
             "IMAGE-USER-UNKNOWN", "CHANGESET-NOT-CHECKED", "REGISTER-VALIDATION", "REGISTER-IMAGE-SCAN"}  # fmt: skip
    for path in (ROOT / "workers").rglob("*.py"):
        found |= set(re.findall(r'probing\.skip\("([A-Z-]+)"', path.read_text()))
    return probes | set(LOAD_CODES) | found


def test_every_check_has_a_question_for_when_it_cannot_be_judged() -> None:
    lacking = [problem.code for problem in CHECKS if not problem.asks.startswith(("whether ", "what "))]
    assert lacking == [], "listings/problems/questions.py"
    assert sorted(code for code in skipped_in_code() if not problems.get(code).asks) == []


@pytest.mark.parametrize("outcome", list(CheckOutcome))
@pytest.mark.parametrize("params", [{}, {"reason": "why"}, {"phase": "training", "types": "ml.m5.large"}])
def test_no_placeholder_is_ever_shown(outcome: CheckOutcome, params: dict[str, str]) -> None:
    for problem in problems.all_problems():
        words = problems.words_of(problem, outcome, params)
        assert words.title, problem.code
        # A variable of a Dockerfile is written so: ${NAME}.
        assert not re.search(r"(?<!\$)\{", words.title + words.cause + words.remedy), problem.code


def test_a_skip_says_what_was_asked_and_why_it_is_not_known_and_no_more() -> None:
    for problem in CHECKS:
        words = problems.words_of(problem, "skip", {"reason": "there was no time"})
        assert words == problems.CheckWords(f"Not judged: {problem.asks}", "There was no time.")


@pytest.mark.parametrize(("code", "params", "cause"), [
    ("TEST-MEMORY", {"phase": "serving", "limit_gib": "3", "peak_mb": "512"},
     "This host gave 3 GiB, less than the instance type has. During serving the peak was 512 MiB."),
    ("TEST-SIZE", {"instance_type": "ml.m5.large", "clamped": "2 of 4 vCPU"},
     "This host runs less than ml.m5.large has, so what was seen of memory and speed proves nothing for it."),
    ("TEST-INPUT-TYPE", {"reason": "the step has no time left"}, "The step has no time left."),
    ("TEST-MEMORY-GROWTH", {}, ""),
])  # fmt: skip
def test_the_reason_of_a_skip_is_told_from_what_is_known(code: str, params: dict[str, str], cause: str) -> None:
    assert problems.words_of(problems.get(code), "skip", params).cause == cause


def test_a_code_of_an_older_slipway_is_shown_by_its_name() -> None:
    old = problems.entry_of("TEST-OF-OLD")
    assert problems.words_of(old, "fail", {}).title == "TEST-OF-OLD"
    assert problems.words_of(old, "skip", {}).title == "Not judged: the check TEST-OF-OLD"


def test_every_phase_that_the_twin_runs_has_a_name_in_words() -> None:
    source = "".join(path.read_text() for path in (ROOT / "workers" / "sandbox").rglob("*.py"))
    named = set(re.findall(r'Outcome\("([a-z0-9-]+)"', source)) | set(hosts.PHASES.values())
    named |= {f"train-values-{kind}" for kind in re.findall(r'BadValue\("([a-z]+)"', source)}
    assert named == phases.PHASES.keys()
    assert phases.phase_title("train-values-range-2") == "Training with a value out of its range, no. 2"
    assert phases.in_a_sentence("train-values-range") == "training with a value out of its range"
