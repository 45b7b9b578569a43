"""The pure planner."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from listings.services.planning import StepView, losses_in_a_row, next_steps
from listings.states import NEEDS, RUN_STEPS, AttemptState, RunState, StepState, run_state

W, OK, FAILED = StepState.WAITING, StepState.SUCCEEDED, StepState.FAILED


def views(**states: str) -> dict[str, StepView]:
    return {name: StepView(states.get(name, W)) for name in RUN_STEPS}


def test_a_new_run_starts_with_fetch_alone() -> None:
    assert next_steps(views(), loss_limit=3).start == ("fetch",)


def test_scan_and_test_start_together_after_inspect() -> None:
    assert next_steps(views(fetch=OK, build=OK, inspect=OK), loss_limit=3).start == ("scan", "test")


def test_push_waits_for_scan_and_test() -> None:
    assert next_steps(views(fetch=OK, build=OK, inspect=OK, scan=OK, test="running"), loss_limit=3).start == ()


def test_a_failure_blocks_everything_behind_it() -> None:
    moves = next_steps(views(fetch=OK, build=FAILED), loss_limit=3)
    assert moves.start == ()
    assert moves.block == ("inspect", "scan", "test", "push")


def test_retrying_a_failed_step_unblocks_what_it_blocked() -> None:
    blocked = dict.fromkeys(("inspect", "scan", "test", "push"), StepState.BLOCKED)
    moves = next_steps(views(fetch=OK, build="queued", **blocked), loss_limit=3)
    assert moves.unblock == ("inspect", "scan", "test", "push")


def test_a_lost_step_starts_again_until_the_limit() -> None:
    lost = {name: StepView(W) for name in RUN_STEPS} | {"fetch": StepView("lost", losses=3)}
    assert next_steps(lost, loss_limit=3).start == ("fetch",)
    given_up = lost | {"fetch": StepView("lost", losses=4)}
    assert next_steps(given_up, loss_limit=3).start == ()
    assert "build" in next_steps(given_up, loss_limit=3).block


def test_losses_count_only_in_a_row() -> None:
    again = "after its worker was lost"
    assert losses_in_a_row([("lost", ""), ("failed", again), ("lost", "retried by Sally"), ("lost", again)]) == 2


def test_a_persons_retry_begins_the_count_of_losses_anew() -> None:
    again = "after its worker was lost"
    assert losses_in_a_row([("lost", ""), ("lost", again), ("lost", again), ("lost", "retried by Sally")]) == 1
    assert losses_in_a_row([("lost", ""), ("lost", again), ("lost", "retried by Sally"), ("lost", again)]) == 2


@given(st.fixed_dictionaries({name: st.sampled_from(StepState.values) for name in RUN_STEPS}))
def test_nothing_starts_before_what_it_needs(states: dict[str, str]) -> None:
    moves = next_steps({name: StepView(state) for name, state in states.items()}, loss_limit=3)
    done = {StepState.SUCCEEDED, StepState.SKIPPED}
    for name in moves.start:
        assert states[name] == AttemptState.LOST or all(states[need] in done for need in NEEDS[name])


@given(st.fixed_dictionaries({name: st.sampled_from(StepState.values) for name in RUN_STEPS}))
def test_planning_twice_changes_nothing_more(states: dict[str, str]) -> None:
    first = next_steps({name: StepView(state) for name, state in states.items()}, loss_limit=3)
    after = dict(states)
    after |= dict.fromkeys(first.start, "queued") | dict.fromkeys(first.block, "blocked")
    after |= dict.fromkeys(first.unblock, "waiting")
    second = next_steps({name: StepView(state) for name, state in after.items()}, loss_limit=3)
    assert second.start == ()
    assert second.block == ()
    assert second.unblock == ()


@given(st.fixed_dictionaries(dict.fromkeys(RUN_STEPS, st.sampled_from(sorted(set(StepState.values) - {"waiting"})))))
def test_a_run_is_active_exactly_while_something_is_open(states: dict[str, str]) -> None:
    is_open = bool({"queued", "running", "cancelling"} & set(states.values()))
    assert (run_state(states) == RunState.ACTIVE) == is_open


def test_a_run_passes_only_when_every_step_did() -> None:
    assert run_state(dict.fromkeys(RUN_STEPS, "succeeded")) == RunState.PASSED
    assert run_state(dict.fromkeys(RUN_STEPS, "succeeded") | {"test": "failed"}) == RunState.FAILED
    assert run_state(dict.fromkeys(RUN_STEPS, "succeeded") | {"test": "cancelled"}) == RunState.CANCELLED
