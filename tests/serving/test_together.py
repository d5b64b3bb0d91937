"""Requests that are ready together: one prediction, the same bits as alone, and none suffers from another."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from mlapi.inference.values import InferenceEvent, InferenceResponse, Target
from mlapi.registry.live import LiveRegistry
from mlapi.registry.loading import LoadedModel
from mlapi.registry.publishing import publish
from mlapi.registry.store import Store
from mlapi.rollouts.caller import Caller
from mlapi.rollouts.router import Ready, undivided
from mlapi.schemas.v1 import predict
from mlapi.serving.dataplane import DataPlane
from mlapi.serving.together import Together

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3], [5.9, 3.0, 4.2, 1.5]]
IRIS = Target("iris", 1)


class Asked(NamedTuple):
    """A request that is read one by one."""

    target: Target
    body: bytes
    load: Callable[[bytes], Any]
    dump: Callable[[InferenceResponse, Any], Any]
    caller: Caller = Caller()
    batch: None = None

    @property
    def call(self) -> "Asked":
        return self


def asked(rows: Any, target: Target = IRIS, signature: str = "predict_proba") -> Asked:
    body = json.dumps({"instances": rows, "signature_name": signature}).encode()
    return Asked(target, body, lambda data: predict.load(data, target), lambda response, _: response)


def probabilities(response: InferenceResponse) -> bytes:
    return np.ascontiguousarray(response.outputs["predict_proba"]).tobytes()


def test_each_gets_the_bits_that_it_would_get_alone(live: LiveRegistry) -> None:
    together = Together(undivided(live))
    batch = [asked([flower]) for flower in FLOWERS] + [asked(FLOWERS)] + [asked(FLOWERS[::-1])]
    found = together.answers(batch)
    alone = [together.answers([one])[0] for one in batch]
    assert None not in [*found, *alone]
    assert [probabilities(one.answer) for one in found if one] == [probabilities(one.answer) for one in alone if one]


def test_requests_of_one_model_and_output_are_one_execution(live: LiveRegistry) -> None:
    batch = [asked([flower]) for flower in FLOWERS] + [asked(FLOWERS, signature="")]
    events = [one.event for one in Together(undivided(live)).answers(batch) if one is not None]
    assert [event.executions for event in events] == [1, 0, 0, 1]
    assert [event.rows for event in events] == [1, 1, 1, 3]


@pytest.mark.parametrize("bad", [
    asked([[1, 2, 3]]), asked([["a", 1, 2, 3]]), asked([]), asked(FLOWERS, Target("none")),
    asked(FLOWERS, Target("iris", 99)),
    asked(FLOWERS, Target("iris", None, "none")), asked(FLOWERS, signature="none"),
    Asked(IRIS, b"{", lambda data: predict.load(data, IRIS), lambda response, _: response),
])  # fmt: skip
def test_one_that_is_wrong_takes_the_long_road_and_no_other_with_it(live: LiveRegistry, bad: Asked) -> None:
    found = Together(undivided(live)).answers([asked(FLOWERS[:1]), bad, asked(FLOWERS[1:])])
    assert [one is not None for one in found] == [True, False, True]


def test_what_cannot_be_written_takes_the_long_road(live: LiveRegistry) -> None:
    def failing(*_: object) -> InferenceResponse:
        raise ValueError

    found = Together(undivided(live)).answers([asked(FLOWERS)._replace(dump=failing), asked(FLOWERS)])
    assert [one is not None for one in found] == [False, True]


def test_what_would_take_too_long_takes_the_long_road(live: LiveRegistry) -> None:
    assert Together(undivided(live), budget_ns=1).answers([asked(FLOWERS)]) == [None]


def test_a_group_is_cut_where_its_cost_crosses_the_budget(
    live: LiveRegistry, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LoadedModel, "expected_ns", lambda _, rows: 1000 * rows)
    found = Together(undivided(live), budget_ns=2000).answers([asked([flower]) for flower in FLOWERS])
    assert [one.event.executions for one in found if one is not None] == [1, 0, 1]


def test_an_estimator_never_runs_here(tmp_path: Path) -> None:
    rows = np.arange(6.0).reshape(-1, 1)
    model = LinearRegression().fit(rows, rows[:, 0])
    publish(model, "planned", sample=rows, registry=tmp_path)
    live = LiveRegistry(Store(tmp_path), plans=False)
    live.refresh()
    target = Target("planned")
    assert live.get(target).planned is None
    assert Together(undivided(live)).answers([asked([[1.0]], target, "")]) == [None]


def test_a_failing_prediction_leaves_all_of_its_group_to_the_long_road(live: LiveRegistry) -> None:
    class Failing(LoadedModel):
        def predict_by_plan(self, *_: Any) -> Any:
            raise MemoryError

    loaded = live.get(IRIS)
    failing = Failing(loaded.manifest, loaded._answering, loaded.reference)
    failing.prove()
    together = Together(lambda _: lambda _: Ready(failing, None))
    assert together.answers([asked(FLOWERS), asked(FLOWERS)]) == [None, None]


def test_the_data_plane_tells_observers_of_what_is_answered_and_only_of_that(
    live: LiveRegistry, ticks: Callable[[], int],
) -> None:
    events: list[InferenceEvent] = []
    plane = DataPlane(live, live.get, [events.append], ticks)
    found = plane.exchange_ready([asked(FLOWERS), asked([[1]])])
    assert [one is not None for one in found] == [True, False]
    assert events == []
    plane.tell([one for one in found if one is not None])
    assert [(event.target, event.version, event.rows, event.error) for event in events] == [(IRIS, 1, 3, None)]
