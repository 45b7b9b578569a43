"""Waiting for AWS without holding a worker, and without giving up at the first stumble."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings

from listings.problems import ProblemError
from listings.reports import StepReport
from workers.steps.contract import StepContext

#: What passes by itself; botocore has tried each call several times before one of these is raised.
PASSING = frozenset({"AWS-THROTTLED", "AWS-UNREACHABLE", "AWS-SERVICE-ERROR", "AWS-EXPIRED-TOKEN"})
STUMBLES = 5


def interval(polls: int) -> float:
    """Seconds until the next look: short at first, up to ten times as long later on."""
    base = float(settings.SLIPWAY.aws_poll_seconds)
    return min(base * 1.2 ** min(polls, 100), base * 10)


def park(context: StepContext, facts: dict[str, Any]) -> StepReport:
    """Come back later with ``facts`` at hand."""
    return StepReport(facts=facts, poll_after=interval(context.attempt.polls))


def patiently(context: StepContext, act: Callable[[StepContext], StepReport]) -> StepReport:
    """Run ``act``; what passes by itself parks the attempt, at most STUMBLES times in a row."""
    try:
        return act(context)
    except ProblemError as error:
        known = dict(context.attempt.facts)
        stumbles = int(known.get("stumbles", 0)) + 1
        if error.code not in PASSING or stumbles > STUMBLES:
            raise
        context.log.line(f"{error}; trying again ({stumbles} of {STUMBLES})", "slipway")
        return park(context, {**known, "stumbles": stumbles})
