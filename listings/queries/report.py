"""The report of a run and the comparison of two, as documents and as pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef

from listings import problems
from listings.access import Permission, can
from listings.models import Attempt, Check, Run
from listings.queries.checks import evidence_of, told, words_of
from listings.services import verdicts
from listings.states import RELEASE_DONE, RELEASE_OPEN, STEP_UNSUCCESSFUL, RunState, StepName, StepState
from listings.twin import drawn, reading
from listings.twin.compare import compare
from listings.twin.differences import DIFFERENCES
from listings.twin.document import (
    CheckItem,
    Comparison,
    DifferenceItem,
    EvidenceItem,
    Profile,
    Report,
    RunId,
    StageItem,
)
from listings.twin.stages import stage_of
from listings.twin.verdict import stages_of, verdict_of

_ORDER = {"fail": 0, "warn": 1, "skip": 2, "pass": 3}
#: A step has at most so many checks shown, and a check so much evidence; workers send far less.
MOST_CHECKS, MOST_EVIDENCE = 600, 40
#: So many runs are offered to compare with.
MOST_CHOICES = 60


def report_of(run: Run) -> Report:
    """What the run's latest attempts established, and what AWS would say to it. Two queries."""
    attempts = _latest(run)
    facts = {name: reading.mapping(attempt.facts) for name, attempt in attempts.items()}
    test = facts.get(StepName.TEST, {})
    checks = tuple(_checks(attempts))
    calls, more = reading.calls(test)
    system = reading.text(reading.mapping(facts.get(StepName.SCAN, {}).get("os")).get("name"))
    judged = (StepName.INSPECT, StepName.SCAN, StepName.TEST)
    tested = all(name in attempts and attempts[name].step.state == StepState.SUCCEEDED for name in judged)
    verdict = verdict_of(checks, is_active=run.state == RunState.ACTIVE, is_tested=tested)
    digest = reading.text(verdicts.staged_image(facts).get("digest"))
    trained = reading.training(test)
    return Report(
        run=_run_id(run), attempts={name: attempt.number for name, attempt in attempts.items()},
        verdict=verdict, stages=stages_of(checks), checks=checks,
        training=trained, inference=reading.inference(test), batch=reading.batch(test),
        outgoing=calls, outgoing_more=more,
        peak_memory_bytes=reading.number(test.get("peak_memory_bytes")), profile=reading.profile(test),
        profiles=reading.profiles(test), runs=reading.twin_runs(test), runs_more=reading.runs_more(test),
        runs_skipped=reading.runs_skipped(test), hosts=reading.hosts(test),
        models=reading.models(facts.get(StepName.FETCH, {}), trained), advice=reading.advice(test),
        image=reading.image(facts.get(StepName.INSPECT, {}), digest, system),
        differences=tuple(DifferenceItem(**row._asdict()) for row in DIFFERENCES),
    )  # fmt: skip


def _latest(run: Run) -> dict[str, Attempt]:
    """The latest attempt of each step that has one, in the order of the steps."""
    newer = Attempt.objects.filter(step=OuterRef("step"), number__gt=OuterRef("number"))
    rows = Attempt.objects.filter(~Exists(newer), step__run=run).select_related("step").order_by("step__position")
    return {attempt.step.name: attempt for attempt in rows}


def _run_id(run: Run) -> RunId:
    version = run.version
    return RunId(
        team=version.listing.team.slug, listing=version.listing.slug, listing_name=version.listing.name,
        kind=version.listing.kind, version=version.number, run=run.number, state=run.state,
        started=run.created_at.isoformat(), finished=run.finished_at.isoformat() if run.finished_at else None,
    )  # fmt: skip


def _checks(attempts: dict[str, Attempt]) -> list[CheckItem]:
    """Checks and the problems that ended steps without one, failures first."""
    of = {attempt.pk: attempt for attempt in attempts.values()}
    rows = list(Check.objects.filter(attempt__in=of).order_by("attempt__step__position", "position")[:MOST_CHECKS])
    failed = {(check.attempt_id, check.code) for check in rows if check.outcome == "fail"}
    ended = [each for each in of.values() if each.problem_code and (each.pk, each.problem_code) not in failed]
    found = [_ended(attempt) for attempt in ended] + [_item(check, of[check.attempt_id]) for check in rows]
    return sorted(found, key=lambda check: _ORDER[check.outcome])


def _item(check: Check, attempt: Attempt) -> CheckItem:
    entry, words = problems.entry_of(check.code), words_of(check)
    action = entry.next_action.value if check.outcome in ("warn", "fail") else ""
    return CheckItem(
        code=check.code, stage=stage_of(check.code, attempt.step.name), outcome=check.outcome,  # type: ignore[arg-type]
        owner=entry.owner.value, step=attempt.step.name, attempt=attempt.number, title=words.title, cause=words.cause,
        remedy=words.remedy, next_action=action, source=entry.source,
        evidence=tuple(_evidence(evidence_of(check, words))), patch=check.patch,
    )  # fmt: skip


def _ended(attempt: Attempt) -> CheckItem:
    entry = problems.entry_of(attempt.problem_code)
    words = told(entry.code, "fail", attempt.problem_params)
    return CheckItem(
        code=entry.code, stage=stage_of(entry.code, attempt.step.name), outcome="fail", owner=entry.owner.value,
        step=attempt.step.name, attempt=attempt.number, title=words.title, cause=words.cause, remedy=words.remedy,
        next_action=entry.next_action.value, source=entry.source, evidence=tuple(_evidence(attempt.problem_evidence)),
    )  # fmt: skip


def _evidence(recorded: Any) -> Iterator[EvidenceItem]:
    for each in reading.rows(recorded, MOST_EVIDENCE):
        said, label = reading.text(each.get("text"), 4000), reading.text(each.get("label"))
        yield EvidenceItem(text=said, label=label, log_line=reading.whole(each.get("log_line")))


# The pages.


@dataclass(frozen=True, slots=True)
class StageGroup:
    """What is worth reading of one stage at AWS: its failures, then its warnings, then what was not judged."""

    stage: StageItem
    checks: tuple[CheckItem, ...]
    skipped: tuple[CheckItem, ...]


def groups_of(report: Report) -> list[StageGroup]:
    """Stages that fail come first, then those that warn, each in the order in which AWS comes to them."""
    found = []
    for stage in report.stages:
        own = [check for check in report.checks if check.stage == stage.key]
        told = tuple(check for check in own if check.outcome in ("fail", "warn"))
        skipped = tuple(check for check in own if check.outcome == "skip")
        if told or skipped:
            found.append(StageGroup(stage, told, skipped))
    return sorted(found, key=lambda group: _ORDER[group.checks[0].outcome if group.checks else "skip"])


def report_page(user: Any, run: Run) -> dict[str, Any]:
    report = report_of(run)
    groups, passed = groups_of(report), _passed(report)
    return _places(run) | {
        "report": report, "groups": groups, "first": _first(groups),
        "passed_by_stage": [(stage, passed[stage.key]) for stage in report.stages if stage.key in passed],
        "stages": [stage for stage in report.stages if stage.outcome],
        "worth_reading": frozenset(group.stage.key for group in groups),
        "run_as": _run_as(report), "retryable": _retryable(user, run),
        "test_number": report.attempts.get(StepName.TEST, 1),
        "resources": drawn.resources(report),
        "metrics": drawn.metrics(report.training.metrics) if report.training else [],
        "latency": drawn.latency(report.inference.load) if report.inference else None,
        "against": default_before(run), "is_active": run.state == RunState.ACTIVE,
    }  # fmt: skip


def _run_as(report: Report) -> list[tuple[str, Profile]]:
    """The size that each phase was run at, one where both had the same."""
    found = list(report.profiles.items())
    if len({profile for _, profile in found}) == 1:
        return [("", found[0][1])]
    return found or ([("", report.profile)] if report.profile else [])


def _passed(report: Report) -> dict[str, list[CheckItem]]:
    """What passes, by stage."""
    found: dict[str, list[CheckItem]] = {}
    for check in report.checks:
        if check.outcome == "pass":
            found.setdefault(check.stage, []).append(check)
    return found


def _first(groups: Sequence[StageGroup]) -> dict[str, str]:
    """The stage to look at first for each outcome that is worth reading."""
    first: dict[str, str] = {}
    for group in groups:
        for check in (*group.checks, *group.skipped):
            first.setdefault(check.outcome, group.stage.key)
    return first


def _places(run: Run) -> dict[str, Any]:
    version = run.version
    return {"team": version.listing.team, "listing": version.listing, "version": version, "run": run}


def _retryable(user: Any, run: Run) -> frozenset[str]:
    """The steps that this user may try again: those of the latest run that did not succeed."""
    version = run.version
    if not can(user, Permission.DEVELOP, version.listing.team) or version.runs.filter(number__gt=run.number).exists():
        return frozenset()
    if run.superseded or version.releases.filter(state__in=RELEASE_OPEN | RELEASE_DONE).exists():
        return frozenset()
    return frozenset(run.steps.filter(state__in=STEP_UNSUCCESSFUL).values_list("name", flat=True))


def default_before(run: Run) -> Run | None:
    """What a run is compared with unless said otherwise: the last passed one of another version before it, else the
    last passed one before it."""
    rows = _comparable(run).filter(state=RunState.PASSED, created_at__lt=run.created_at).order_by("-created_at")
    return rows.exclude(version=run.version_id).first() or rows.first()


def _comparable(run: Run) -> Any:
    rows = Run.objects.filter(version__listing=run.version.listing_id).exclude(pk=run.pk)
    return rows.select_related("version__listing__team")


def before_of(run: Run, chosen: str) -> Run | None:
    """The run that ``chosen`` names, ``<version>/<run>`` or ``<version>`` for its latest; the default for an empty one.

    Raises Run.DoesNotExist for one that the listing does not have.
    """
    if not chosen:
        return default_before(run)
    number, _, which = chosen.partition("/")
    rows = _comparable(run).filter(version__number=number)
    if which:
        rows = rows.filter(number=int(which)) if which.isascii() and which.isdigit() and len(which) < 9 else rows.none()
    found = rows.order_by("-number").first()
    if found is None:
        raise Run.DoesNotExist
    return found  # type: ignore[no-any-return]


def comparison_of(before: Run, after: Run) -> Comparison:
    return compare(report_of(before), report_of(after))


def comparison_page(run: Run, before: Run | None) -> dict[str, Any]:
    choices = list(_comparable(run).exclude(state=RunState.ACTIVE).order_by("-created_at")[:MOST_CHOICES])
    if before is not None and before.pk not in {choice.pk for choice in choices}:
        choices.append(before)
    context = _places(run) | {"before": before, "choices": choices, "comparison": None}
    return context | ({"comparison": comparison_of(before, run)} if before is not None else {})


def version_part(run: Run, facts: dict[str, Any]) -> dict[str, Any]:
    """What the version page shows of the report: one plot, what it fits on, and what to compare with."""
    test = reading.mapping(facts.get(StepName.TEST))
    calls, _ = reading.calls(test)
    peak = reading.number(test.get("peak_memory_bytes"))
    trained = reading.training(test)
    return {
        "metrics": trained.metrics if trained else (),
        "plot": drawn.main_resources(reading.twin_runs(test), calls),
        "profile": reading.profile(test), "advice": reading.advice(test), "peak": peak, "against": default_before(run),
    }  # fmt: skip
