"""Requests of one row that are alike: one prediction, the same answers as alone, and none suffers from another."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from werkzeug.datastructures import Headers

from mlapi.inference.values import Assignment, Target
from mlapi.registry.live import LiveRegistry
from mlapi.registry.loading import LoadedModel
from mlapi.resources.calls import Answer, Call
from mlapi.resources.v1.inference import predict_call
from mlapi.resources.v2.inference import infer_call
from mlapi.rollouts.caller import Caller
from mlapi.rollouts.router import Ready, undivided
from mlapi.serving.alike import Find
from mlapi.serving.together import Together

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3], [5.9, 3.0, 4.2, 1.5], [6.0, 2.9, 4.5, 1.5], [4.9, 3.0, 1.4, 0.2]]
IRIS = Target("iris", 1)
V1 = predict_call({"name": "iris", "version": "1"}, Headers())
V2 = infer_call({"name": "iris", "version": "1"}, Headers())


@pytest.fixture
def loaded(live: LiveRegistry) -> LoadedModel:
    return live.get(IRIS)


class Asked(NamedTuple):
    """A request that came in."""

    call: Call
    body: bytes
    caller: Caller

    def but(self, **changes: Any) -> "Asked":
        """Return it with another call."""
        return self._replace(call=self.call._replace(**changes))


def asked(body: object, call: Call = V1, caller: Caller | None = None) -> Asked:
    return Asked(call, body if isinstance(body, bytes) else json.dumps(body).encode(), caller or Caller())


def predict(flower: Any, **more: Any) -> Asked:
    return asked({"instances": [flower], **more})


def infer(flower: Any, **more: Any) -> Asked:
    tensor = {"name": "input-0", "shape": [1, 4], "datatype": "FP64", "data": flower}
    return asked({"inputs": [tensor], **more}, V2)


def body_of(answer: Answer) -> Any:
    return {name: value for name, value in json.loads(answer.body).items() if name != "id"}


class Counting(LoadedModel):
    """Counts what it is asked."""

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded.manifest, loaded._answering, loaded.reference)
        self.prove()
        self.sizes: list[int] = []

    def predict_by_plan(self, inputs: Any, outputs: Any) -> Any:
        self.sizes.append(len(next(iter(inputs.values()))))
        return super().predict_by_plan(inputs, outputs)


@pytest.fixture
def counting(loaded: LoadedModel) -> Counting:
    return Counting(loaded)


def everybody(loaded: LoadedModel) -> Find:
    """Return what gives every caller the same model."""
    return lambda _: lambda _: Ready(loaded, None)


@pytest.mark.parametrize("ask", [
    predict, lambda flower: predict(flower, signature_name="predict_proba"), infer,
    lambda flower: infer(flower, outputs=[{"name": "predict_proba"}]),
    lambda flower: infer(flower, parameters={"binary_data_output": False}),
])  # fmt: skip
def test_one_prediction_and_each_gets_what_it_would_get_by_itself(
    counting: Counting, ask: Callable[[Any], Asked],
) -> None:
    batch = [ask(flower) for flower in FLOWERS]
    found = Together(everybody(counting)).answers(batch)
    assert counting.sizes == [len(FLOWERS)]
    for one, own in zip(batch, found, strict=True):
        (ordinary,) = Together(everybody(counting)).answers([one.but(batch=None)])
        assert own is not None
        assert ordinary is not None
        assert body_of(own.answer) == body_of(ordinary.answer)
        assert own.answer.headers == ordinary.answer.headers


def test_observers_are_told_of_all_of_them_at_once(live: LiveRegistry) -> None:
    found = Together(undivided(live)).answers([predict(flower) for flower in FLOWERS])
    event, *others = {id(one.event): one.event for one in found if one is not None}.values()
    assert others == []
    assert (event.requests, event.rows, event.executions) == (len(FLOWERS), 1, 1)
    assert event.inputs is not None
    assert event.inputs["input-0"].tolist() == FLOWERS
    assert (event.target, event.version, event.error, event.alone_ns, event.assignments) == (IRIS, 1, None, None, [])
    (alone,) = Together(undivided(live)).answers([predict(FLOWERS[1])])
    assert alone is not None
    assert event.single(1).outputs == alone.event.outputs


@pytest.mark.parametrize("bad", [
    predict([1, 2, 3]), predict([1, 2, 3, "4"]), predict([None, 1, 2, 3]), asked(b'{"instances": [[1,2,3,1e999]]}'),
    asked(b'{"instances": [[1,2,3,04]]}'), asked(b'{"instances": [[1,2,3,4]]'), asked(b""), predict([]),
    predict(FLOWERS[0], signature_name="none"), asked(b'{"instances": [[1,2,3,NaN]]}'), infer([1, 2, 3]),
    infer(FLOWERS[0], outputs=[{"name": "none"}]),
])  # fmt: skip
def test_one_that_is_wrong_takes_the_long_road_and_no_other_with_it(live: LiveRegistry, bad: Asked) -> None:
    good = infer if bad.call is V2 else predict
    found = Together(undivided(live)).answers([good(FLOWERS[0]), bad, good(FLOWERS[1])])
    assert [one is not None for one in found] == [True, False, True]


def test_a_raw_row_that_the_model_refuses_fails_alone(live: LiveRegistry) -> None:
    head = b'{"inputs":[{"name":"input-0","shape":[1,4],"datatype":"FP64","parameters":{"binary_data_size":32}}]}'
    call = infer_call({"name": "iris"}, Headers({"Inference-Header-Content-Length": str(len(head))}))
    bodies = [head + np.array(row).tobytes() for row in (FLOWERS[0], [np.nan, 1, 2, 3], FLOWERS[1])]
    found = Together(undivided(live)).answers([asked(body, call) for body in bodies])
    assert [one is not None for one in found] == [True, False, True]


def test_what_crosses_the_budget_is_predicted_in_parts(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoadedModel, "expected_ns", lambda _, rows: 1000 * rows)
    found = Together(everybody(counting), budget_ns=2500).answers([predict(one) for one in FLOWERS])
    assert counting.sizes == [2, 2, 1]
    assert None not in found
    counting.sizes.clear()
    assert Together(everybody(counting), budget_ns=999).answers([predict(FLOWERS[0])]) == [None]
    assert counting.sizes == []


def test_rows_that_are_not_the_same_in_every_batch_are_predicted_alone(counting: Counting) -> None:
    counting.row_independent = False
    found = Together(everybody(counting)).answers([predict(one) for one in FLOWERS])
    assert counting.sizes == [1] * len(FLOWERS)
    assert None not in found


def test_what_cannot_be_written_takes_the_long_road(live: LiveRegistry) -> None:
    def failing(*_: object) -> Any:
        raise ValueError

    assert V1.batch is not None
    broken = [one.but(batch=V1.batch._replace(scatter=failing), dump=failing) for one in map(predict, FLOWERS)]
    assert Together(undivided(live)).answers(broken) == [None] * len(FLOWERS)


def test_what_cannot_be_cut_is_read_the_ordinary_way(live: LiveRegistry) -> None:
    def failing(_: bytes) -> Any:
        raise ValueError

    assert V1.batch is not None
    batch = [predict(FLOWERS[0]).but(batch=V1.batch._replace(cut=failing)), predict(FLOWERS[1])]
    first, second = Together(undivided(live)).answers(batch)
    assert first is not None
    assert second is not None


def test_what_is_no_number_is_written_by_the_ordinary_way(live: LiveRegistry) -> None:
    assert V1.batch is not None
    worded = [one.but(batch=V1.batch._replace(scatter=lambda *_: None)) for one in map(predict, FLOWERS)]
    found = Together(undivided(live)).answers(worded)
    plain = Together(undivided(live)).answers([predict(flower) for flower in FLOWERS])
    assert [one.answer for one in found if one] == [one.answer for one in plain if one]


def test_a_failing_prediction_leaves_all_of_its_group_to_the_long_road(loaded: LoadedModel) -> None:
    class Failing(LoadedModel):
        def predict_by_plan(self, *_: Any) -> Any:
            raise MemoryError

    failing = Failing(loaded.manifest, loaded._answering, loaded.reference)
    failing.prove()
    assert Together(everybody(failing)).answers([predict(one) for one in FLOWERS]) == [None] * 5


def test_an_assignment_is_of_its_own_request(
    counting: Counting, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = Counting(loaded)
    monkeypatch.setattr(LoadedModel, "expected_ns", lambda _, rows: 1000 + 100 * rows)

    def choose(caller: Caller) -> Ready:
        served = "candidate" if caller.draw() % 2 else "control"
        told = Assignment("r", 1, 0, 500_000, served, served, "request", caller.draw(), f"id-{caller.draw()}")
        return Ready(other if caller.draw() % 2 else counting, told)

    found = Together(lambda _: choose).answers([
        infer(flower)._replace(caller=Caller(drawn=number)) for number, flower in enumerate(FLOWERS)
    ])
    for number, one in enumerate(found):
        assert one is not None
        assert one.assignment is not None
        assert one.assignment.hashed == number
        told = [assignment.hashed for assignment in one.event.assignments]
        assert one.event.inputs is not None
        assert one.event.inputs["input-0"].tolist() == [FLOWERS[hashed] for hashed in told]
        assert number in told
        assert body_of(one.answer)["parameters"] == {"prediction_id": f"id-{number}"}
        assert one.event.alone_ns == one.event.predict_ns * 1100 // (1200 if number % 2 else 1300)
    assert (counting.sizes, other.sizes) == ([3], [2])


def test_who_cannot_be_assigned_takes_the_long_road(counting: Counting) -> None:
    def choose(caller: Caller) -> Ready | None:
        if caller.drawn is None:
            raise ValueError
        return Ready(counting, None) if caller.drawn else None

    callers = [Caller(), Caller(drawn=0), Caller(drawn=1)]
    batch = [predict(FLOWERS[0])._replace(caller=caller) for caller in callers]
    assert [one is not None for one in Together(lambda _: choose).answers(batch)] == [False, False, True]


def test_an_answer_goes_to_who_asked(live: LiveRegistry) -> None:
    batch = [ask(flower) for flower in FLOWERS for ask in (predict, infer)] + [predict(FLOWERS[0])]
    found = Together(undivided(live)).answers(batch)
    for one, own in zip(batch, found, strict=True):
        (alone,) = Together(undivided(live)).answers([one.but(batch=None)])
        assert own is not None
        assert alone is not None
        assert body_of(own.answer) == body_of(alone.answer)
