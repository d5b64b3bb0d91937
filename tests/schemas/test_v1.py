"""V1 bodies: the predict envelope in, predictions or outputs out."""

import json
import math
from typing import Any

import numpy as np
import pytest

from mlapi.errors import InvalidRequest
from mlapi.inference.values import Columns, InferenceRequest, InferenceResponse, Numbers, Rows, Target
from mlapi.schemas.v1 import predict

TARGET = Target("m", 3)
FORMS = "expected exactly one of 'instances' (rows) and 'inputs' (columns), got"


def load(**members: Any) -> InferenceRequest:
    return predict.load(json.dumps(members).encode(), TARGET)


def dump(array: Any, inputs: Rows | Columns | Numbers) -> bytes:
    response = InferenceResponse("m", 3, {"predict": array}, {"predict": "FP64"})
    return predict.dump(response, InferenceRequest(TARGET, inputs))


def test_instances_are_rows_and_inputs_are_columns_of_the_target() -> None:
    assert load(instances=[1, 2]) == InferenceRequest(TARGET, Rows([1, 2]), ())
    assert load(inputs={"a": [1]}) == InferenceRequest(TARGET, Columns({"a": [1]}), ())
    assert load(inputs=[["a"]]) == InferenceRequest(TARGET, Columns([["a"]]), ())


@pytest.mark.parametrize("rows", [1, 500])
def test_rows_of_numbers_are_read_as_doubles_and_stay_at_hand_as_they_were(rows: int) -> None:
    """Few by one parser, many by another; a model of integers asks for what doubles cannot tell."""
    values = [[2**53 + 1, 0.1]] * rows
    for member, by_row, decoded in (("instances", True, Rows(values)), ("inputs", False, Columns(values))):
        inputs = load(**{member: values}).inputs
        assert isinstance(inputs, Numbers)
        np.testing.assert_array_equal(inputs.array, np.array(values, "f8"), strict=True)
        assert inputs.array.flags.writeable
        assert (inputs.by_row, inputs.decoded()) == (by_row, decoded)
        answer = b"predictions" if by_row else b"outputs"
        assert dump(np.array([[1.0]]), inputs) == b'{"%s":[1.0]}' % answer


@pytest.mark.parametrize(("name", "outputs"), [
    ("", ()), ("serving_default", ()), ("predict_proba", ("predict_proba",)),
])  # fmt: skip
def test_the_signature_name_selects_the_output(name: str, outputs: tuple[str, ...]) -> None:
    assert load(instances=[1], signature_name=name).outputs == outputs


def test_members_that_are_not_known_are_ignored() -> None:
    assert load(instances=[1], model_name="x", parameters={"a": None}, id=None).inputs == Rows([1])


@pytest.mark.parametrize(("members", "sentence"), [
    ({}, f"{FORMS} neither"),
    ({"instances": [1], "inputs": [1]}, f"{FORMS} both"),
    ({"instances": []}, "instances: expected a non-empty list of rows"),
    ({"instances": {"a": 1}}, "instances: expected a non-empty list of rows"),
    ({"instances": "rows"}, "instances: expected a non-empty list of rows"),
    ({"instances": None}, "instances: field may not be null"),
    ({"inputs": 5}, "inputs: expected a list, or an object of columns by name"),
    ({"inputs": "a"}, "inputs: expected a list, or an object of columns by name"),
    ({"instances": [1], "signature_name": 5}, "signature_name: not a valid string"),
    ({"instances": [1], "signature_name": None}, "signature_name: field may not be null"),
    ({"instances": None, "signature_name": []},
     "2 faults: (1) instances: field may not be null; (2) signature_name: not a valid string"),
])  # fmt: skip
def test_a_wrong_envelope_is_refused(members: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        load(**members)
    assert str(refusal.value) == sentence


def test_rows_are_answered_with_predictions_and_columns_with_outputs() -> None:
    answer = np.array([[1.5], [2.0]])
    assert dump(answer, Rows([])) == b'{"predictions":[1.5,2.0]}'
    assert dump(answer, Columns([])) == b'{"outputs":[1.5,2.0]}'


@pytest.mark.parametrize(("array", "values"), [
    (np.array([["a"], ["☃"]], dtype=object), ["a", "☃"]),
    (np.array([[1], [2]]), [1, 2]),
    (np.array([[True], [False]]), [True, False]),
    (np.array([[0.1, 0.9], [0.5, 0.5]]), [[0.1, 0.9], [0.5, 0.5]]),
    (np.array([[0.1], [2.5]]).T[:, ::-1], [[2.5, 0.1]]),
    (np.array([[2**64 - 1]], "u8"), [2**64 - 1]),
    (np.array([["a", "b"]], dtype=object), [["a", "b"]]),
])  # fmt: skip
def test_only_a_trailing_dimension_of_one_is_squeezed(array: Any, values: Any) -> None:
    assert json.loads(dump(array, Rows([]))) == {"predictions": values}


def test_numbers_that_are_not_finite_are_bare_tokens() -> None:
    assert dump(np.array([[math.nan], [math.inf], [-math.inf], [0.5]]), Rows([])) == (
        b'{"predictions":[NaN,Infinity,-Infinity,0.5]}'
    )


@pytest.mark.parametrize("beside", [[], [math.nan]])
def test_small_floats_keep_their_own_shortest_digits_also_beside_a_nan(beside: list[float]) -> None:
    body = dump(np.array([[0.1], *([value] for value in beside)], "f4"), Rows([]))
    assert body.startswith(b'{"predictions":[0.1')
    assert body[len(b'{"predictions":[0.1') :] in {b"]}", b",NaN]}"}
