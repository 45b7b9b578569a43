"""What the world hears when work moves on: open pages, the audit history, and the people concerned."""

from __future__ import annotations

from listings import links, problems
from listings.models import Attempt, Run, Step
from listings.services import audit, notices, signals, statuses
from listings.states import RunState


def announce_step(step: Step, state: str) -> None:
    owner = step.run_id or step.release_id
    assert owner is not None
    signals.announce_after_commit(owner, {"kind": "step", "step": step.name, "state": state})


def run_started(run: Run) -> None:
    """Tell the code host that its commit is being tried, if it is known which."""
    statuses.report(run)


def run_changed(run: Run) -> None:
    """Announce a run's new state; a failure is told to whoever started it and to the version's author."""
    statuses.report(run)
    signals.announce_after_commit(run.pk, {"kind": "run", "state": run.state, "final": run.state != RunState.ACTIVE})
    if run.state == RunState.FAILED:
        _tell_failure(run)
    if run.state != RunState.ACTIVE:
        audit.record(None, f"run.{run.state}", run, listing=run.version.listing, url=links.run(run))


def _tell_failure(run: Run) -> None:
    failed = Attempt.objects.filter(step__run=run).exclude(problem_code="").order_by("-finished_at").first()
    title, body = f"{run.version} failed", ""
    if failed is not None:
        problem = problems.get(failed.problem_code)
        title = f"{run.version}: {problem.title}"
        body = "\n".join(
            (
                problems.fill(problem.cause, failed.problem_params),
                problems.fill(problem.remedy, failed.problem_params),
            )
        )
    people = notices.still_there(run.version.listing.team, [run.started_by, run.version.author])
    notices.notify(people, "run.failed", title, url=links.run(run), body=body)
