"""Decisions: the safest first, doubt is never success, and every rollout ends with all or nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlapi.rollouts import decision, document, transitions
from mlapi.rollouts.counters import Tally
from mlapi.rollouts.decision import Elapsed
from mlapi.rollouts.document import Guardrail, Metric, Rollout, Shadow, Step
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.success import Success
from mlapi.rollouts.transitions import Reason

Running = Callable[..., Rollout]
WHY = Reason("test", "because", "2026-11-24T00:00:00Z")
LONG = Elapsed(1e6, 1.0, 0.0)
VERBS = {"advance": transitions.advance, "pause": transitions.pause, "roll_back": transitions.roll_back}


def tally(control: dict[str, Any], candidate: dict[str, Any], step: int = 0, ppm: int = 500_000) -> Tally:
    """Counts of both arms in one stratum: requests, and bad events by kind."""
    made = Tally()
    for name, given_ in (("control", control), ("candidate", candidate)):
        arm = made.arms(step, ppm)[name]
        arm.requests = arm.alone = given_.get("requests", 0)
        arm.bad.update(given_.get("bad", {}))
        arm.keys = set(given_.get("keys", ()))
        arm.bad_keys = {kind: set(keys) for kind, keys in given_.get("bad_keys", {}).items()}
        arm.scores = list(given_.get("scores", (0, 0.0, 0.0)))
    return made


def found(rollout: Rollout, counts: Tally, elapsed: Elapsed = LONG) -> tuple[str, str] | None:
    evidence = decision.weigh(rollout, counts, 2)
    made = decision.decide(rollout, counts, evidence, elapsed)
    return None if made is None else (made.verb, made.why)


QUIET = tally({"requests": 1000}, {"requests": 1000})


def test_a_quiet_step_goes_on_when_its_time_and_its_requests_are_over(running: Running) -> None:
    rollout = transitions.start("iris", 1, (1, 2), Plan(steps=(Step(500_000, 600.0, 1000),)), WHY)
    assert found(rollout, QUIET) == ("advance", "the gates of the step are passed")
    assert found(rollout, QUIET, Elapsed(599.0)) is None
    assert decision.waiting_for(rollout, QUIET, Elapsed(590.0)) == "10 s"
    few = tally({"requests": 1000}, {"requests": 999})
    assert found(rollout, few) is None
    assert decision.waiting_for(rollout, few, Elapsed(590.0)) == "10 s and 1 requests to the candidate"
    assert decision.waiting_for(running(), QUIET, LONG) == ""


def test_no_request_at_all_is_never_success(running: Running) -> None:
    """Also where the plan asks for no time and no requests."""
    assert found(running(500_000), Tally()) is None
    assert found(running(500_000), tally({"requests": 10}, {})) is None
    assert decision.waiting_for(running(500_000), Tally(), LONG) == "1 requests to the candidate"


def test_requests_of_an_earlier_step_do_not_open_a_later_one(running: Running) -> None:
    second = transitions.advance(running(500_000, 600_000), WHY)
    assert found(second, QUIET) is None


@pytest.mark.parametrize("kind", ["errors", "invalid", "slow"])
@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_guardrail_rolls_back_running_or_paused(running: Running, kind: str, state: str) -> None:
    limit = 40.0 if kind == "slow" else None
    rollout = running(500_000, guardrails=(Guardrail(kind, 0.25, 0.01, limit),))
    rollout = rollout if state == "running" else transitions.pause(rollout, WHY)
    made = found(rollout, tally({"requests": 1000, "bad": {kind: 5}}, {"requests": 1000, "bad": {kind: 40}}))
    assert made is not None
    assert (made[0], "25% more likely with the candidate" in made[1]) == ("roll_back", True)
    assert found(rollout, tally({"requests": 1000, "bad": {kind: 40}}, {"requests": 1000, "bad": {kind: 40}})) in {
        None, ("advance", "the gates of the step are passed"),
    }  # fmt: skip


def test_keys_that_failed_count_beside_requests_that_had_none(running: Running) -> None:
    counts = tally(
        {"requests": 1000}, {"requests": 1000, "bad": {"errors": 3}, "bad_keys": {"errors": range(20)}},
    )
    made = found(running(500_000), counts)
    assert made is not None
    assert made[0] == "roll_back"


def test_arms_of_the_wrong_size_pause_and_come_before_any_success(running: Running) -> None:
    made = found(running(500_000), tally({"requests": 1000}, {"requests": 700}))
    assert made is not None
    assert (made[0], "the arms have not the sizes" in made[1]) == ("pause", True)
    by_key = tally({"keys": range(1000)}, {"keys": range(1000, 1700)})
    made = found(running(500_000), by_key)
    assert made is not None
    assert made[0] == "pause"


def test_a_shift_beyond_the_limit_pauses_and_one_within_it_does_not(running: Running) -> None:
    rollout = running(500_000, guardrails=(Guardrail("shift", 0.0, 0.01, 0.5),))

    def shifted(by: float) -> Tally:
        number = 5000
        return tally({"requests": number, "scores": (number, 0.0, float(number))},
                     {"requests": number, "scores": (number, number * by, number * (1 + by * by))})  # fmt: skip

    made = found(rollout, shifted(1.0))
    assert made is not None
    assert (made[0], "the mean prediction moved by 1" in made[1]) == ("pause", True)
    assert found(rollout, shifted(-1.0)) != found(rollout, shifted(0.3))
    assert found(rollout, shifted(0.3)) == ("advance", "the gates of the step are passed")


@pytest.mark.parametrize(("elapsed", "why"), [
    (Elapsed(1e6, 1.0, 61.0), "no worker has written its counters for 61 seconds"),
    (Elapsed(1e6, 14 * 86400 + 1.0, 0.0), "it has run for 1209601 seconds without an end"),
])  # fmt: skip
def test_silence_and_endlessness_pause(running: Running, elapsed: Elapsed, why: str) -> None:
    assert found(running(500_000), QUIET, elapsed) == ("pause", why)


def test_nothing_is_learnt_where_nothing_is_divided(running: Running) -> None:
    counts = tally({}, {"requests": 1000, "bad": {"errors": 900}}, ppm=1_000_000)
    assert decision.weigh(running(999_999), counts, 1).plain() == {"e_errors": 1.0, "e_invalid": 1.0, "p_srm": 1.0}


ARMS = st.fixed_dictionaries({
    "requests": st.integers(0, 3000),
    "bad": st.fixed_dictionaries({"errors": st.integers(0, 60), "invalid": st.integers(0, 20)}),
})
SILENT = st.sampled_from([0.0, 0.0, 0.0, 100.0])
LOOKS = st.lists(st.tuples(ARMS, ARMS, st.floats(0, 3000), SILENT, st.booleans()), max_size=30)


@given(st.lists(st.integers(1, 999_999), min_size=1, max_size=5).map(sorted), LOOKS)
def test_any_plan_and_any_counts_end_with_all_or_nothing_and_skip_no_step(shares: list[int], looks: list[Any]) -> None:
    """The controller judges what it is shown; an operator resumes now and then."""
    plan = Plan(steps=tuple(Step(share, 600.0, 100) for share in shares))
    rollout = transitions.start("iris", 1, (1, 2), plan, WHY)
    for control, candidate, seconds, silent, resumes in looks:
        before = rollout
        counts = tally(control, candidate, rollout.step, rollout.ppm)
        made = found(rollout, counts, Elapsed(seconds, seconds, silent))
        if made is not None:
            rollout = VERBS[made[0]](rollout, WHY)
        elif resumes and rollout.state == document.PAUSED:
            rollout = transitions.resume(rollout, WHY)
        if not rollout.is_active:
            break
        assert rollout.step - before.step in {0, 1}
        if rollout.step > before.step:
            assert (seconds >= 600, candidate["requests"] >= 100, silent <= 60) == (True, True, True)
    if rollout.state == document.PROMOTED:
        assert rollout.ppm == 1_000_000
        places = list(dict.fromkeys(one.after for one in rollout.history if one.after.startswith("running")))
        assert places == [f"running:{at}" for at in range(len(shares))]
    elif not rollout.is_active:
        assert (rollout.state, rollout.ppm) == (document.ROLLED_BACK, 0)


CLICKS = Metric("clicks", "binary", 0.01)
SOME = Success({"control": 500, "candidate": 500}, {}, difference=0.0, lower=-1.0, upper=1.0)


@pytest.mark.parametrize(("stands", "elapsed", "verb", "why"), [
    ({}, LONG, None, ""),
    ({"verdict": "win"}, LONG, "advance", "clicks: superiority is shown"),
    ({"verdict": "win"}, Elapsed(599.0), None, ""),
    ({"verdict": "harm"}, Elapsed(), "roll_back", "clicks is worse"),
    ({"spent": True, "units": 9000.0}, LONG, "promote", "9000 units and no verdict"),
    ({}, Elapsed(1e6, 1e9), "promote", "without an end"),
    ({"verdict": "harm", "p_coverage": 0.0001}, LONG, "pause", "did not get labels equally often"),
])  # fmt: skip
def test_the_last_step_waits_for_the_metric(
    stands: dict[str, Any], elapsed: Elapsed, verb: str | None, why: str,
) -> None:
    plan = Plan(steps=(Step(500_000, 600.0, 1000),), metric=CLICKS, on_inconclusive="promote")
    rollout = transitions.start("iris", 1, (1, 2), plan, WHY)
    evidence = decision.weigh(rollout, QUIET, 2)
    made = decision.decide(rollout, QUIET, evidence, elapsed, replace(SOME, **stands))
    assert (made.verb if made else None) == verb
    assert why in (made.why if made else "")
    assert "a decision on clicks" in decision.waiting_for(rollout, QUIET, elapsed)


def test_only_the_last_step_waits_and_without_outcomes_nothing_is_promoted(running: Running) -> None:
    rollout = running(100_000, 500_000, metric=CLICKS)
    quiet = tally({"requests": 9000}, {"requests": 1000}, ppm=100_000)
    made = decision.decide(rollout, quiet, decision.weigh(rollout, quiet, 2), LONG, SOME)
    assert made is not None
    assert made.verb == "advance"
    last = transitions.advance(rollout, WHY)
    quiet = tally({"requests": 1000}, {"requests": 1000}, step=1)
    assert decision.decide(last, quiet, decision.weigh(last, quiet, 2), LONG, None) is None


def test_a_guardrail_goes_before_any_metric(running: Running) -> None:
    rollout = running(500_000, metric=CLICKS)
    bad = tally({"requests": 1000}, {"requests": 1000, "bad": {"errors": 50}})
    won = replace(SOME, verdict="win")
    made = decision.decide(rollout, bad, decision.weigh(rollout, bad, 2), LONG, won)
    assert made is not None
    assert made.verb == "roll_back"


def test_a_shadow_goes_nowhere_but_to_its_end() -> None:
    rollout = transitions.start("iris", 1, (1, 2), Plan(shadow=Shadow(1_000_000)), WHY)
    assert (rollout.ppm, rollout.plan, rollout.place) == (0, (), "running:0")
    assert document.loads(document.dumps(rollout)) == rollout
    evidence = decision.weigh(rollout, Tally(), 2)
    assert decision.decide(rollout, Tally(), evidence, Elapsed()) is None
    assert "a shadow" in decision.waiting_for(rollout, Tally(), Elapsed())
    made = decision.decide(rollout, Tally(), evidence, Elapsed(1.0, 1e9))
    assert made is not None
    assert made.verb == "pause"
