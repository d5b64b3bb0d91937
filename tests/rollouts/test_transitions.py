"""The state machine: every event in every state, and what holds for any plan and any sequence of events."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlapi.errors import InvalidRequest, RolloutConflict
from mlapi.rollouts import document, transitions
from mlapi.rollouts.document import Guardrail, Metric, Rollout, Shadow, Step
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.transitions import Reason

Running = Callable[..., Rollout]
WHY = Reason("test", "because", "2026-11-24T00:00:00Z", {"e": 1.5})
EVENTS = {
    "advance": transitions.advance, "pause": transitions.pause, "resume": transitions.resume,
    "promote": transitions.promote, "abort": transitions.abort, "roll_back": transitions.roll_back,
    "release": transitions.release,
}  # fmt: skip
ALLOWED = {
    "running": {"advance", "pause", "promote", "abort", "roll_back"},
    "paused": {"resume", "promote", "abort", "roll_back"},
    "promoted": {"release"}, "rolled_back": {"release"}, "aborted": {"release"}, "held": {"release"},
}  # fmt: skip


def in_state(state: str, running: Running) -> Rollout:
    first = running(10_000, 500_000)
    return {
        "running": lambda: first, "paused": lambda: transitions.pause(first, WHY),
        "promoted": lambda: transitions.promote(first, WHY), "rolled_back": lambda: transitions.roll_back(first, WHY),
        "aborted": lambda: transitions.abort(first, WHY), "held": lambda: transitions.hold("iris", 1, 1, WHY),
    }[state]()  # fmt: skip


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", ALLOWED)
def test_an_event_is_taken_in_the_states_that_allow_it_and_refused_in_all_others(
    running: Running, state: str, event: str,
) -> None:
    rollout = in_state(state, running)
    assert rollout.state == state
    if event in ALLOWED[state]:
        after = EVENTS[event](rollout, WHY)
        assert after.generation == rollout.generation + 1
        assert len(after.history) == len(rollout.history) + 1
        assert after.history[-1].evidence == {"e": 1.5}
    else:
        with pytest.raises(RolloutConflict, match=rf"'{rollout.id}' of model 'iris'"):
            EVENTS[event](rollout, WHY)


def test_a_rollout_goes_through_its_steps_and_is_promoted(running: Running) -> None:
    rollout = running(10_000, 250_000, 500_000)
    shares = [rollout.ppm]
    while rollout.is_active:
        rollout = transitions.advance(rollout, WHY)
        shares.append(rollout.ppm)
    assert shares == [10_000, 250_000, 500_000, 1_000_000]
    assert (rollout.state, rollout.default) == ("promoted", 2)
    assert [(change.before, change.after) for change in rollout.history] == [
        ("", "running:0"), ("running:0", "running:1"), ("running:1", "running:2"), ("running:2", "promoted"),
    ]  # fmt: skip


def test_a_rollout_that_is_to_ask_at_its_end_pauses_there(running: Running) -> None:
    last = transitions.advance(running(10_000, on_finish="pause"), WHY)
    assert (last.state, last.ppm, last.step) == ("paused", 10_000, 0)


@pytest.mark.parametrize(("on_pause", "share"), [("hold", 10_000), ("control", 0)])
def test_a_pause_keeps_the_share_or_gives_it_to_the_control(running: Running, on_pause: str, share: int) -> None:
    paused = transitions.pause(running(10_000, on_pause=on_pause), WHY)
    assert paused.ppm == share
    assert transitions.resume(paused, WHY).ppm == 10_000


def test_a_document_stays_small_however_often_it_is_changed(running: Running) -> None:
    rollout, long = running(), replace(WHY, why="x" * 10_000, evidence={f"e_{number}": 1 / 3 for number in range(8)})
    for _ in range(600):
        rollout = transitions.resume(transitions.pause(rollout, long), long)
    assert rollout.generation == 1201
    assert len(document.dumps(rollout)) < document.LARGEST / 2
    assert [change.generation for change in rollout.history][-1] == 1201


def test_a_release_ends_the_hold_once(running: Running) -> None:
    released = transitions.release(transitions.abort(running(), WHY), WHY)
    assert (released.holds, released.state, released.history[-1].after) == (False, "aborted", "released")
    with pytest.raises(RolloutConflict, match="released already"):
        transitions.release(released, WHY)


@pytest.mark.parametrize(("plan", "fault"), [
    (Plan(steps=()), "expected 1 to 100 steps, got 0"),
    (Plan(steps=(Step(1),) * 101), "expected 1 to 100 steps, got 101"),
    (Plan(steps=(Step(0),)), "step 0: expected a weight above 0 and below 1, got 0"),
    (Plan(steps=(Step(1_000_001),)), "step 0: expected a weight above 0 and below 1"),
    (Plan(steps=(Step(500_000), Step(1_000_000))), "step 1: at a weight of 1 no control is left"),
    (Plan(steps=(Step(500_000), Step(10_000))), "step 1 shrinks from 0.5 to 0.01"),
    (Plan(keys=("cookie:x",)), "entry 0 is no source"),
    (Plan(keys=("header:",)), "entry 0 is no source"),
    (Plan(keys=("header:a",) * 9), "expected at most 8, got 9"),
    (Plan(keys=("header:" + "a" * 200,)), "entry 0 is no source"),
    (Plan(guardrails=(Guardrail("errors"), Guardrail("errors"))), "'errors' stands twice"),
    (Plan(guardrails=(Guardrail("slow"),)), "'slow' needs a limit above 0"),
    (Plan(guardrails=(Guardrail("errors", 0.1, 0.04), Guardrail("invalid", 0.0, 0.02))), "add up to 0.06"),
    (Plan(srm_alpha=0.0), "srm_alpha"),
    (Plan(srm_alpha=0.5), "srm_alpha"),
    (Plan(metric=Metric("m", "binary", 0.0)), "mde is 0.0; expected a number above 0"),
    (Plan(metric=Metric("m", "binary", 0.1, mode="bounded")), "max_samples is None; expected units"),
    (Plan(metric=Metric("m", "binary", 0.1, mode="bounded", max_samples=9, alpha=0.0001)), "alpha is 0.0001"),
    (Plan(metric=Metric("m", "binary", 0.1, alpha=0.2)), "alpha is 0.2"),
    (Plan(metric=Metric("m", "continuous", 0.1)), "cap is missing"),
    (Plan(metric=Metric("m", "binary", 0.1, goal="equivalence")), "margin is 0.0"),
    (Plan(shadow=Shadow(0)), "rate: expected a share above 0"),
    (Plan(shadow=Shadow(1, core_share=2.0)), "core_share: expected"),
    (Plan(shadow=Shadow(1, segments=("x",) * 21)), "segments: expected at most 20, got 21"),
])  # fmt: skip
def test_a_plan_that_cannot_work_is_refused_with_the_reason(plan: Plan, fault: str) -> None:
    with pytest.raises(InvalidRequest, match=fault):
        transitions.start("iris", 1, (1, 2), plan, WHY)


def test_five_guardrails_of_one_percent_just_fit() -> None:
    slow, shift = Guardrail("slow", 0.0, 0.02, 5.0), Guardrail("shift", 0.0, 0.01, 1.0)
    spent = (Guardrail("errors"), Guardrail("invalid"), slow, shift)
    assert transitions.plan_faults(Plan(guardrails=spent)) == []


def test_a_version_is_not_compared_with_itself() -> None:
    with pytest.raises(InvalidRequest, match="version 2 is the control as well"):
        transitions.start("iris", 1, (2, 2), Plan(), WHY)


PLANS = st.lists(st.integers(1, 999_999), min_size=1, max_size=6).map(sorted)


@given(PLANS, st.lists(st.sampled_from(sorted(EVENTS)), max_size=40), st.sampled_from(["hold", "control"]),
       st.sampled_from(["promote", "pause"]))  # fmt: skip
def test_any_plan_and_any_events_end_with_all_or_nothing_and_skip_no_step(
    shares: list[int], events: list[str], on_pause: str, on_finish: str,
) -> None:
    plan = Plan(steps=tuple(map(Step, shares)), on_pause=on_pause, on_finish=on_finish)
    rollout = transitions.start("iris", 1, (1, 2), plan, WHY)
    for event in events:
        before = rollout
        try:
            rollout = EVENTS[event](rollout, WHY)
        except RolloutConflict:
            continue
        assert rollout.generation == before.generation + 1
        assert rollout.step - before.step in {0, 1}
        if rollout.step != before.step:
            assert (event, before.state, rollout.state) == ("advance", "running", "running")
        assert not (before.state not in document.ACTIVE and rollout.state != before.state)
        if rollout.state == document.RUNNING:
            assert rollout.ppm == shares[rollout.step]
        assert document.loads(document.dumps(rollout)) == rollout
    if rollout.state == document.PROMOTED:
        assert (rollout.ppm, rollout.default) == (1_000_000, 2)
    elif not rollout.is_active:
        assert (rollout.ppm, rollout.default) == (0, 1)


@given(PLANS, st.integers(0, 2**64 - 1))
def test_a_key_that_has_the_candidate_keeps_it_while_the_share_grows(shares: list[int], hashed: int) -> None:
    from mlapi.rollouts.division import arm_of  # noqa: PLC0415 (the property is the state machine's)

    rollout = transitions.start("iris", 1, (1, 2), Plan(steps=tuple(map(Step, shares))), WHY)
    arms = []
    while rollout.is_active:
        arms.append(arm_of(rollout, hashed))
        rollout = transitions.advance(rollout, WHY)
    arms.append(arm_of(replace(rollout), hashed))
    assert arms == sorted(arms, reverse=True)  # control sorts behind candidate
    assert arms[-1] == "candidate"
