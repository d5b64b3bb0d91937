"""The breaker: five of the last twenty, once, and only what the control could answer."""

from collections.abc import Callable

from mlapi.errors import GivenUp, ModelFailed
from mlapi.inference.values import InferenceEvent
from mlapi.rollouts.breaker import Breaker

Event = Callable[..., InferenceEvent]


def tripped_by(events: list[InferenceEvent]) -> list[tuple[str, int]]:
    trips: list[tuple[str, int]] = []
    breaker = Breaker(lambda rollout, failures: trips.append((rollout, failures)))
    for one in events:
        breaker.observe(one)
    return trips


def test_requests_that_were_given_up_are_neither_failures_nor_answers(event: Event) -> None:
    failed, late = [event(fell_back=True)], [event(error=GivenUp("late"))]
    assert tripped_by(failed * 4 + late * 40) == []
    assert tripped_by(failed * 4 + late * 40 + failed) == [("ro_test", 5)]


def test_five_failures_trip_it_once(event: Event) -> None:
    assert tripped_by([event(fell_back=True)] * 4) == []
    assert tripped_by([event(fell_back=True)] * 50) == [("ro_test", 5)]


def test_failures_that_are_rare_enough_do_not(event: Event) -> None:
    assert tripped_by(([event(fell_back=True)] + [event()] * 4) * 20) == []
    assert tripped_by(([event(fell_back=True)] + [event()] * 3) * 20) == [("ro_test", 5)]


def test_input_that_breaks_both_versions_counts_for_nothing(event: Event) -> None:
    assert tripped_by([event(error=ModelFailed("both"))] * 50) == []


def test_the_control_and_the_pinned_are_no_concern_of_it(event: Event) -> None:
    assert tripped_by([event(arm="control", fell_back=True), event(arm="pinned", fell_back=True)] * 50) == []


def test_each_rollout_has_a_breaker_of_its_own(event: Event) -> None:
    events = [event(fell_back=True, rollout=name) for _ in range(4) for name in ("ro_one", "ro_two")]
    assert tripped_by(events) == []
    assert tripped_by([*events, events[0]]) == [("ro_one", 5)]
