"""The data plane in a rollout: the assigned version answers, the control where that one cannot."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from mlapi.errors import GivenUp, ModelFailed, ModelRefusedInput, SignatureMismatch
from mlapi.inference.values import Assignment, InferenceEvent, InferenceRequest, Rows, Target
from mlapi.registry.live import LiveRegistry
from mlapi.registry.publishing import publish
from mlapi.registry.store import Store
from mlapi.rollouts.caller import Caller, Ticket
from mlapi.rollouts.division import Division
from mlapi.rollouts.document import Rollout, Step
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.router import Router
from mlapi.rollouts.transitions import Reason, start
from mlapi.serving.dataplane import DataPlane

ROWS = np.linspace(0, 2, 12).reshape(-1, 2)


def break_large(values: Any) -> Any:
    if (values > 200).any():
        raise OverflowError
    return values


def refuse_and_break(values: Any) -> Any:
    if (break_large(values) > 100).any():
        raise ValueError("too large")
    return values


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> LiveRegistry:
    """Version 1 fails above 200, version 2 also refuses above 100, version 3 takes three columns."""
    path = tmp_path_factory.mktemp("rollout") / "registry"
    for function in (break_large, refuse_and_break):
        estimator = make_pipeline(FunctionTransformer(function), LinearRegression()).fit(ROWS, ROWS.sum(axis=1))
        publish(estimator, "sum", sample=ROWS, registry=path)
    wide = np.hstack([ROWS, ROWS[:, :1]])
    publish(LinearRegression().fit(wide, wide.sum(axis=1)), "sum", sample=wide, registry=path)
    live = LiveRegistry(Store(path))
    live.refresh()
    return live


def exchange(
    live: LiveRegistry, value: float, candidate: int = 2, share: int = 999_999, ticket: Ticket | None = None,
    **words: bytes,
) -> tuple[Any, list[InferenceEvent]]:
    """Ask for one row in a rollout from 1 to `candidate`; return the answer and what was told."""
    plan = Plan(steps=(Step(share),))
    rollout: Rollout = start("sum", 1, (1, candidate), plan, Reason("t", "t", "t"))
    router = Router(live)
    router.follow({"sum": Division.of(rollout, bytes(32))})
    router.heard({"sum"})
    caller = Caller({f"header:{name.replace('_', '-')}": value for name, value in words.items()}, ticket=ticket)
    events: list[InferenceEvent] = []
    plane = DataPlane(live, router.route, [events.append], treat=router.treat)
    request = InferenceRequest(Target("sum"), Rows([[value, 1.0]]))
    try:
        answer: Any = plane.exchange(request.target, lambda: request, lambda response, _: response, caller)
    except Exception as error:  # noqa: BLE001 (the error is the answer)
        answer = error
    return answer, events


def test_the_candidate_answers_whom_it_was_given(live: LiveRegistry) -> None:
    answer, (event,) = exchange(live, 1.0)
    assert (answer.version, event.version, event.error) == (2, 2, None)
    (found,) = event.assignments
    assert answer.assignment == found
    assert (found.arm, found.served, found.fell_back) == ("candidate", "candidate", False)


def given_up(live: LiveRegistry, decided: tuple[Target, Assignment, int] | None) -> tuple[Ticket, list[InferenceEvent]]:
    """Have a request given up of which so much was decided; return its ticket and what those of rollouts were told."""
    told: list[InferenceEvent] = []
    ticket, plane = Ticket(), DataPlane(live, live.get, of_rollouts=[told.append], clock=lambda: 12_000)
    ticket.decided = decided
    for _ in range(2):
        plane.give_up(ticket)
    return ticket, told


def test_a_request_that_is_given_up_is_an_error_of_its_arm_and_told_once(live: LiveRegistry) -> None:
    _, (event,) = exchange(live, 1.0)
    ticket, (late,) = given_up(live, (event.target, event.assignments[0], 7_000))
    assert (type(late.error), late.model_ns, late.assignments) == (GivenUp, 5_000, event.assignments)
    assert not ticket.take()


def test_a_request_of_no_rollout_is_given_up_in_silence(live: LiveRegistry) -> None:
    assert given_up(live, None)[1] == []


def test_an_answer_that_comes_after_its_request_was_given_up_counts_for_no_arm(live: LiveRegistry) -> None:
    for is_late in (False, True):
        ticket = Ticket()
        if is_late:
            assert ticket.take()
        answer, (event,) = exchange(live, 1.0, ticket=ticket)
        assert (answer.version, event.version, len(event.assignments)) == (2, 2, not is_late)
        assert ticket.decided is not None
        assert ticket.decided[1].arm == "candidate"


def test_the_control_answers_the_others(live: LiveRegistry) -> None:
    while True:
        answer, (event,) = exchange(live, 150.0, share=500_000)
        (found,) = event.assignments
        if found.arm == "control":
            break
    assert (answer.version, found.fell_back) == (1, False)


@pytest.mark.parametrize(("value", "candidate"), [(150.0, 2), (1.0, 3), (1.0, 9)])
def test_where_the_candidate_cannot_the_control_answers_and_the_assignment_stands(
    live: LiveRegistry, value: float, candidate: int,
) -> None:
    """It refuses the values, it takes other columns, it is not there."""
    answer, (event,) = exchange(live, value, candidate)
    assert (answer.version, event.version, event.error) == (1, 1, None)
    (found,) = event.assignments
    assert (found.arm, found.served, found.fell_back) == ("candidate", "control", True)
    assert answer.assignment == found
    assert answer.outputs["predict"].tolist() == [[pytest.approx(value + 1.0)]]
    assert min(event.input_ns, event.predict_ns, event.output_ns) > 0


def test_input_that_breaks_both_is_the_controls_error_and_no_fall_back(live: LiveRegistry) -> None:
    answer, (event,) = exchange(live, 1000.0)
    assert isinstance(answer, ModelFailed)
    assert event.error is answer
    assert (event.assignments[0].arm, event.assignments[0].fell_back) == ("candidate", False)


@pytest.mark.parametrize(("variant", "version", "value", "outcome"), [
    (b"candidate", 2, 1.0, None), (b"control", 1, 1.0, None), (b"candidate", 2, 150.0, ModelRefusedInput),
])  # fmt: skip
def test_who_pins_a_variant_gets_it_or_its_error(
    live: LiveRegistry, variant: bytes, version: int, value: float, outcome: type[Exception] | None,
) -> None:
    answer, (event,) = exchange(live, value, X_Mlapi_Variant=variant)
    assert (event.version, event.assignments[0].arm) == (version, "pinned")
    assert answer.version == version if outcome is None else isinstance(answer, outcome)


def test_a_fault_of_the_caller_is_his_in_either_arm(live: LiveRegistry) -> None:
    def ask(share: int) -> Any:
        plan = Plan(steps=(Step(share),))
        router = Router(live)
        router.follow({"sum": Division.of(start("sum", 1, (1, 2), plan, Reason("t", "t", "t")), None)})
        router.heard({"sum"})
        plane = DataPlane(live, router.route, treat=router.treat)
        request = InferenceRequest(Target("sum"), Rows([["text", 1.0]]))
        return plane.exchange(request.target, lambda: request, lambda response, _: response)

    for share in (1, 999_999):
        with pytest.raises(SignatureMismatch):
            ask(share)
