"""Estimators as predictors: inputs in the form of the fit, outputs in the declared datatypes."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from mlapi.errors import ModelFailed, ModelRefusedInput
from mlapi.inference.signature import Signature, TensorSpec
from mlapi.runtimes.estimator import EstimatorPredictor, frame, matrix, objects

COLUMNS = Signature(
    "columns",
    (TensorSpec("a", "FP64", (-1, 1)), TensorSpec("b", "BYTES", (-1, 1), nullable=True),
     TensorSpec("c", "BOOL", (-1, 1))),
    (TensorSpec("predict", "INT64", (-1, 1)),),
)  # fmt: skip
INPUTS = {"a": np.array([1.0, 2.0]), "b": np.array(["x", None], dtype=object), "c": np.array([True, False])}


class Saying:
    """Answers with what it is given, and remembers the rows."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict(self, rows: Any) -> Any:
        self.rows = rows
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def asked(answer: Any) -> Any:
    return EstimatorPredictor(Saying(answer), COLUMNS, "frame").predict(INPUTS, ("predict",))["predict"]


def test_a_frame_has_the_columns_in_order_and_missing_text_as_nan() -> None:
    made = frame(INPUTS, COLUMNS)
    assert list(made.columns) == ["a", "b", "c"]
    assert made["b"].isna().tolist() == [False, True]
    assert made["b"][0] == "x"
    assert made["c"].dtype == bool


def test_objects_stand_side_by_side() -> None:
    made = objects(INPUTS, COLUMNS)
    assert made.dtype == object
    assert made[0].tolist() == [1.0, "x", True]
    assert np.isnan(made[1, 1])


def test_a_matrix_is_handed_over_as_it_is() -> None:
    signature = Signature("matrix", (TensorSpec("input-0", "FP64", (-1, 2)),), COLUMNS.outputs, ("p", "q"))
    rows = np.eye(2)
    assert matrix({"input-0": rows}, signature) is rows
    assert list(frame({"input-0": rows}, signature).columns) == ["p", "q"]


@pytest.mark.parametrize("answer", [[1, 2], np.array([[1], [2]]), np.array([1.0, 2.0]), (1, 2), np.array([1, 2], "u1")])
def test_answers_are_rows_in_the_declared_datatype(answer: Any) -> None:
    given = asked(answer)
    assert (given.shape, given.dtype) == ((2, 1), "i8")
    assert given.tolist() == [[1], [2]]


@pytest.mark.parametrize("answer", [5, None, ["x", "y"], [[1], [2, 3]], {}, "text"], ids=str)
def test_answers_that_are_no_rows_are_the_models_failure(answer: Any) -> None:
    with pytest.raises(ModelFailed, match="predict is not one row of its declared datatype an instance"):
        asked(answer)


def test_a_value_error_is_the_models_refusal_in_one_short_line() -> None:
    with pytest.raises(ModelRefusedInput) as caught:
        asked(ValueError("two\nlines " + "x" * 1000))
    assert str(caught.value).startswith("two lines x")
    assert len(str(caught.value)) == 300
    with pytest.raises(ModelRefusedInput, match="the model refused the values"):
        asked(ValueError())


@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), KeyError("secret"), ZeroDivisionError(), MemoryError(), SystemExit(3)],
)
def test_any_other_error_is_a_failure_that_tells_no_detail(error: BaseException) -> None:
    with pytest.raises(ModelFailed, match=r"^the model failed in predict$") as caught:
        asked(error)
    assert caught.value.__cause__ is error


def test_an_interrupt_is_a_persons_in_the_main_thread_and_the_models_in_any_other() -> None:
    with pytest.raises(KeyboardInterrupt):
        asked(KeyboardInterrupt())
    with ThreadPoolExecutor(1) as threads, pytest.raises(ModelFailed, match="the model failed in predict"):
        threads.submit(asked, KeyboardInterrupt()).result()
