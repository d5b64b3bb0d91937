"""The data plane: route, conform, predict; every inference is told to the observers."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from mlapi.errors import InvalidRequest, ModelFailed, ModelNotFound, ModelRefusedInput, SignatureMismatch
from mlapi.inference.values import InferenceEvent, InferenceRequest, InferenceResponse, Rows, Target
from mlapi.registry.live import LiveRegistry
from mlapi.registry.loading import LoadedModel
from mlapi.registry.publishing import publish
from mlapi.registry.store import Store
from mlapi.serving.dataplane import DataPlane

FLOWER = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture
def events() -> list[InferenceEvent]:
    return []


@pytest.fixture
def plane(live: LiveRegistry, events: list[InferenceEvent], ticks: Callable[[], int]) -> DataPlane:
    return DataPlane(live, live.get, [events.append], ticks)


def iris(rows: int = 1, version: int | None = None, **options: Any) -> InferenceRequest:
    return InferenceRequest(Target("iris", version), Rows([FLOWER] * rows), **options)


def infer(plane: DataPlane, request: InferenceRequest) -> InferenceResponse:
    """An exchange whose request is already read and whose answer is not written."""
    return plane.exchange(request.target, lambda: request, lambda response, _: response)


def test_an_inference_is_answered_by_the_version_asked_for(plane: DataPlane, live: LiveRegistry) -> None:
    response = infer(plane, iris(rows=2, version=1, id="id-1"))
    assert (response.model, response.version, response.id) == ("iris", 1, "id-1")
    assert response.outputs["predict"].tolist() == [["setosa"], ["setosa"]]
    assert response.outputs["predict_proba"].shape == (2, 3)
    assert response.datatypes == {"predict": "BYTES", "predict_proba": "FP64"}
    assert plane.model(Target("iris", 1)) is live.get(Target("iris", 1))
    assert plane.status("iris").ready == (1, 2)


@pytest.mark.parametrize(("outputs", "names"), [
    (None, ["predict", "predict_proba"]), ((), ["predict"]), (("predict_proba",), ["predict_proba"]),
])  # fmt: skip
def test_only_the_outputs_asked_for_are_computed(plane: DataPlane, outputs: Any, names: list[str]) -> None:
    assert list(infer(plane, iris(outputs=outputs)).outputs) == names


def test_an_answer_is_told_with_rows_version_outputs_and_exact_times(
    plane: DataPlane, events: list[InferenceEvent],
) -> None:
    """The clock is looked at four times: at 1, 11, 111 and 1111 nanoseconds."""
    response = infer(plane, iris(rows=3))
    (event,) = events
    assert (event.target, event.version, event.rows, event.error) == (Target("iris"), 2, 3, None)
    assert (event.input_ns, event.predict_ns, event.output_ns, event.total_ns) == (10, 100, 1000, 1110)
    assert event.outputs is response.outputs


@pytest.mark.parametrize(("request_", "kind", "told"), [
    (InferenceRequest(Target("nobody"), Rows([1])), ModelNotFound, (None, 0, 10, 0)),
    (InferenceRequest(Target("iris"), Rows([FLOWER]), ("nothing",)), InvalidRequest, (2, 0, 10, 0)),
    (InferenceRequest(Target("iris"), Rows([[1, 2]])), SignatureMismatch, (2, 0, 10, 0)),
    (InferenceRequest(Target("root"), Rows([[1, -1]])), ModelRefusedInput, (1, 1, 10, 100)),
    (InferenceRequest(Target("exponent"), Rows([[1000, 1], [1, 1]])), ModelFailed, (1, 2, 10, 100)),
])  # fmt: skip
def test_a_failure_is_told_as_far_as_it_came_and_reaches_the_caller(
    plane: DataPlane, events: list[InferenceEvent], request_: InferenceRequest, kind: type[Exception],
    told: tuple[Any, ...],
) -> None:
    with pytest.raises(kind) as failure:
        infer(plane, request_)
    (event,) = events
    assert event.error is failure.value
    assert (event.target, event.outputs) == (request_.target, None)
    assert (event.version, event.rows, event.input_ns, event.predict_ns) == told


def test_an_observer_that_raises_is_logged_and_hides_nothing(
    live: LiveRegistry, events: list[InferenceEvent], caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: InferenceEvent) -> None:
        raise RuntimeError("observer")

    plane = DataPlane(live, live.get, [broken, events.append])
    assert infer(plane, iris()).version == 2
    with pytest.raises(ModelNotFound):
        infer(plane, InferenceRequest(Target("nobody"), Rows([1])))
    assert [type(event.error) for event in events] == [type(None), ModelNotFound]
    records = [record for record in caplog.records if record.name == "mlapi.serving"]
    assert [record.levelno for record in records] == [logging.ERROR] * 2
    assert all("broken" in record.__dict__["observer"] and record.exc_info for record in records)


def test_another_route_decides_which_version_answers(live: LiveRegistry) -> None:
    def oldest(target: Target) -> LoadedModel:
        return live.get(Target(target.model, 1))

    assert infer(DataPlane(live, oldest), iris()).version == 1


def test_an_array_that_is_answered_is_the_models_own(plane: DataPlane, iris_model: Any) -> None:
    response = infer(plane, iris(outputs=("predict_proba",)))
    found = response.outputs["predict_proba"]
    np.testing.assert_allclose(found, iris_model.predict_proba([FLOWER]), rtol=1e-9)  # by its plan


def test_a_model_that_answers_fewer_rows_than_it_was_asked_is_a_failure_and_no_answer(tmp_path: Path) -> None:
    """Equal rows become one on their way to the estimator, so that two of them get one number."""
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
    merging = make_pipeline(FunctionTransformer(partial(np.unique, axis=0)), LinearRegression()).fit(rows, [1, 2, 3])
    publish(merging, "merging", sample=rows, registry=tmp_path)
    live = LiveRegistry(Store(tmp_path))
    live.refresh()
    plane = DataPlane(live, live.get)
    assert infer(plane, InferenceRequest(Target("merging"), Rows([[1, 2]]))).outputs["predict"].shape == (1, 1)
    with pytest.raises(ModelFailed, match=r"has shape \[1, 1\]; expected \[2, 1\]"):
        infer(plane, InferenceRequest(Target("merging"), Rows([[1, 2], [1, 2]])))


def test_a_version_that_goes_while_its_body_is_read_does_not_answer(registry_copy: Path) -> None:
    store = Store(registry_copy)
    live = LiveRegistry(store)
    live.refresh()
    plane = DataPlane(live, live.get)

    def slow() -> InferenceRequest:
        store.delete("iris", 2)
        live.refresh()
        return iris()

    assert plane.exchange(Target("iris"), slow, lambda response, _: response.version) == 1
