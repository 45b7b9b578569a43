"""What AWS would say to all that was found, in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from listings.reports import CheckOutcome
from listings.twin.document import CheckItem, StageItem, Verdict
from listings.twin.reading import worst
from listings.twin.stages import BY_KEY, STAGES


def counts_of(checks: Sequence[CheckItem]) -> dict[str, int]:
    return {each.value: sum(check.outcome == each for check in checks) for each in CheckOutcome}


def stages_of(checks: Sequence[CheckItem]) -> tuple[StageItem, ...]:
    """Every stage with what its checks came to."""
    found = []
    for stage in STAGES:
        own = [check for check in checks if check.stage == stage.key]
        outcome = worst([check.outcome for check in own])
        found.append(
            StageItem(key=stage.key, title=stage.title, says=stage.says, outcome=outcome, counts=counts_of(own))
        )
    return tuple(found)


def verdict_of(checks: Sequence[CheckItem], *, is_active: bool, is_tested: bool) -> Verdict:
    """``is_active``: the run goes on; ``is_tested``: the isolated test came to its end."""
    counts = counts_of(checks)
    failing = [check for check in checks if check.outcome == "fail"]
    faults = [check for check in failing if check.owner == "seller"]
    if faults:
        outcome, sentence, detail = "fail", *_refused(faults)
    elif is_active:
        outcome, sentence = "unknown", "The run goes on: this is what is known so far."
        detail = "The answer stands here when it has ended."
    elif failing:
        outcome, sentence = (
            "unknown",
            "What AWS would say is not known: the run was stopped by a fault of ours or AWS's.",
        )
        detail = f"{failing[0].title}. Retry the step once that is mended."
    elif not is_tested:
        outcome, sentence = "unknown", "What AWS would say is not known: a step did not come to its end."
        detail = "Run it again."
    else:
        outcome, sentence, detail = _accepted(counts)
    return Verdict(outcome=outcome, sentence=sentence, detail=detail, counts=counts)


def _refused(faults: Sequence[CheckItem]) -> tuple[str, str]:
    order = [stage.key for stage in STAGES]
    first = BY_KEY[min((check.stage for check in faults), key=order.index)]
    count = len(faults)
    sentence = f"AWS would refuse this version: {count} check{'s fail' if count != 1 else ' fails'}."
    if first.key == "source":
        return f"This version does not get as far as AWS: {count} fault{'s' * (count != 1)}.", first.says
    return sentence, f"It ends at “{first.title}”. {first.says}"


def _accepted(counts: dict[str, int]) -> tuple[str, str, str]:
    warned, skipped = counts["warn"], counts["skip"]
    detail = f"{counts['pass']} check{'s' * (counts['pass'] != 1)} passed."
    if skipped:
        detail += f" {skipped} could not be judged here; each says why."
    if warned:
        words = "one warning is" if warned == 1 else f"{warned} warnings are"
        return "warn", f"Nothing that AWS would refuse was found; {words} worth reading.", detail
    return "pass", "Nothing was found that AWS would find.", detail
