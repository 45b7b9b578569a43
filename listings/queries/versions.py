"""The version page: the pipeline, the checks, the log, and what may be done next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from listings import problems
from listings.access import Permission, can
from listings.models import Attempt, Check, CommitStatus, ListingSource, Run, Step, Version
from listings.queries.checks import evidence_of, words_of
from listings.queries.report import version_part
from listings.reports import CheckOutcome
from listings.services import planning, verdicts
from listings.states import ATTEMPT_OPEN, RELEASE_DONE, RELEASE_OPEN, STEP_UNSUCCESSFUL, RunState, StepState

_ORDER = {CheckOutcome.FAIL: 0, CheckOutcome.WARN: 1, CheckOutcome.SKIP: 2, CheckOutcome.PASS: 3}


@dataclass(frozen=True, slots=True)
class StepRow:
    """A stop of the rail. ``note`` is the short text under its name."""

    step: Step
    attempt: Attempt | None
    attempts: tuple[Attempt, ...]
    place: planning.Place | None
    note: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class ShownCheck:
    """A check with its texts filled in. ``title`` says what holds when it passes, and what was asked when it was
    skipped."""

    check: Check
    step: str
    title: str
    cause: str
    remedy: str
    source: str
    evidence: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ShownProblem:
    code: str
    owner: str
    title: str
    cause: str
    remedy: str
    source: str
    next_action: str
    evidence: list[dict[str, Any]]
    attempt: Attempt


def show_problem(attempt: Attempt) -> ShownProblem | None:
    """The coded end of an attempt with its texts, or None if it had none."""
    if not attempt.problem_code:
        return None
    entry, params = problems.get(attempt.problem_code), attempt.problem_params
    return ShownProblem(
        entry.code, entry.owner.value, problems.fill(entry.title, params), problems.fill(entry.cause, params),
        problems.fill(entry.remedy, params), entry.source, entry.next_action.value, attempt.problem_evidence, attempt,
    )  # fmt: skip


def show_check(check: Check) -> ShownCheck:
    words, source = words_of(check), problems.entry_of(check.code).source
    evidence = evidence_of(check, words)
    return ShownCheck(check, check.attempt.step.name, words.title, words.cause, words.remedy, source, evidence)


def steps_of(owner: Any) -> list[StepRow]:
    """The stops of a run's or a release's rail, in order."""
    return rails([owner]).get(owner.pk, [])


def rails(owners: Sequence[Any]) -> dict[Any, list[StepRow]]:
    """The stops of each owner, by its id, in few queries whatever their number."""
    ids = [owner.pk for owner in owners]
    steps = Step.objects.filter(Q(run__in=ids) | Q(release__in=ids)).order_by("position")
    places: dict[str, dict[Any, planning.Place]] = {}
    found: dict[Any, list[StepRow]] = {}
    final = {owner.pk for owner in owners if getattr(owner, "superseded", False)}
    for step in steps.prefetch_related("attempts__log"):
        owner = step.run_id or step.release_id
        retryable = step.state in STEP_UNSUCCESSFUL and owner not in final
        found.setdefault(owner, []).append(_stop(step, places, retryable=retryable))
    return found


def _stop(step: Step, places: dict[str, dict[Any, planning.Place]], *, retryable: bool) -> StepRow:
    """``places`` keeps each queue that was asked for, for the next stop."""
    attempts = tuple(step.attempts.all())
    latest = attempts[-1] if attempts else None
    place = None
    if latest is not None and latest.state == StepState.QUEUED:
        if latest.queue not in places:
            places[latest.queue] = planning.places(latest.queue)
        place = places[latest.queue].get(latest.pk)
    return StepRow(step, latest, attempts, place, _note(step, latest, place), retryable)


def _note(step: Step, attempt: Attempt | None, place: planning.Place | None) -> str:
    if place is not None:
        return f"{_ordinal(place.position)} in queue"
    if attempt is not None and attempt.seconds is not None:
        return f"{attempt.seconds:.1f} s" if attempt.seconds < 100 else f"{attempt.seconds / 60:.1f} min"
    if step.state == StepState.BLOCKED:
        return "blocked"
    if step.state == StepState.SKIPPED:
        return "the image exists already"
    return ""


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def checks_of(run: Run) -> list[ShownCheck]:
    """The checks of the latest attempts, failures first."""
    rows = Check.objects.filter(attempt__in=verdicts.latest_attempts(run)).select_related("attempt__step")
    ordered = sorted(rows, key=lambda c: (_ORDER[CheckOutcome(c.outcome)], c.attempt.step.position, c.position))
    return [show_check(check) for check in ordered]


def version_page(user: Any, version: Version, run: Run | None) -> dict[str, Any]:
    listing = version.listing
    context: dict[str, Any] = {
        "team": listing.team, "listing": listing, "version": version, "run": run,
        "runs": list(version.runs.order_by("-number")),
        "may_develop": can(user, Permission.DEVELOP, listing.team),
        "may_release": can(user, Permission.RELEASE, listing.team),
        "release": version.releases.order_by("-created_at").first(),
    }  # fmt: skip
    return context | (_run_part(run) if run is not None else {})


def _run_part(run: Run) -> dict[str, Any]:
    steps = steps_of(run)
    checks = checks_of(run)
    # What a failed attempt established is evidence, too: a container that calls out must show its calls.
    facts = {row.step.name: row.attempt.facts for row in steps if row.attempt is not None}
    # A problem that stands among the checks, with more of its evidence, is told once.
    told = {(c.check.attempt_id, c.check.code) for c in checks if c.check.outcome == CheckOutcome.FAIL}
    ended = [row.attempt for row in steps if row.attempt is not None]
    ended = [attempt for attempt in ended if (attempt.pk, attempt.problem_code) not in told]
    verdict = verdicts.verdict_of(run)
    count = {outcome.value: sum(c.check.outcome == outcome for c in checks) for outcome in CheckOutcome}
    return {
        "steps": steps,
        "current": _current(steps),
        "problems": [shown for shown in map(show_problem, ended) if shown is not None],
        "checks": [c for c in checks if c.check.outcome != CheckOutcome.PASS],
        "passing": [c for c in checks if c.check.outcome == CheckOutcome.PASS],
        "check_count": count,
        "facts": facts,
        "image_digest": verdicts.staged_image(facts).get("digest", ""),
        "outgoing": verdicts.refused_calls(facts.get("test", {})),
        "verdict": verdict,
        "is_active": run.state == RunState.ACTIVE,
        "twin": version_part(run, facts),
        "reported": reported(run),
        "is_latest": not run.version.runs.filter(number__gt=run.number).exists(),
        "has_open_release": run.version.releases.filter(state__in=RELEASE_OPEN | RELEASE_DONE).exists(),
    }


@dataclass(frozen=True, slots=True)
class Reported:
    """What the code host was told last of a run; ``problem`` is a sentence while it has not taken it."""

    status: CommitStatus
    host: str
    problem: str


def reported(run: Run) -> Reported | None:
    """None where nothing is to be reported."""
    status = run.commit_statuses.order_by("-created_at").first()
    if status is None:
        return None
    source = ListingSource.objects.filter(listing_id=run.version.listing_id).first()
    host = source.get_status_provider_display() if source and source.status_provider else "the code host"
    problem = ""
    if status.problem_code:
        entry = problems.get(status.problem_code)
        cause, remedy = (problems.fill(text, status.problem_params) for text in (entry.cause, entry.remedy))
        problem = f"{entry.title}. {cause} {remedy} ({entry.code})"
    return Reported(status, host, problem)


def _current(steps: list[StepRow]) -> StepRow | None:
    """The stop whose log is shown first: what runs, else what failed, else the last that ran."""
    for states in (ATTEMPT_OPEN - {StepState.QUEUED}, STEP_UNSUCCESSFUL):
        for row in steps:
            if row.step.state in states:
                return row
    tried = [row for row in steps if row.attempt is not None and row.attempt.started_at is not None]
    return tried[-1] if tried else None
