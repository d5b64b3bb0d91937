"""V2 bodies: tensors in their declared datatypes and shapes in, flat tensors out."""

import json
import math
from typing import Any

import numpy as np
import pytest

from mlapi.errors import InvalidRequest
from mlapi.inference.values import InferenceRequest, InferenceResponse, Target, Tensors
from mlapi.schemas import v2

TARGET = Target("m", 3)
HUGE = 2**62


def tensor(**changes: Any) -> dict[str, Any]:
    """Return a valid tensor with changes; a change to `...` takes the member out."""
    members = {"name": "a", "shape": [2], "datatype": "INT64", "data": [1, 2], **changes}
    return {name: value for name, value in members.items() if value is not ...}


def load(*inputs: Any, **members: Any) -> InferenceRequest:
    return v2.load(json.dumps({"inputs": list(inputs), **members}).encode(), TARGET)


def array(**changes: Any) -> np.ndarray[Any, Any]:
    inputs = load(tensor(**changes)).inputs
    assert isinstance(inputs, Tensors)
    return np.asarray(inputs.arrays["a"])


def faults(*inputs: Any, **members: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidRequest) as refusal:
        load(*inputs, **members)
    return refusal.value.faults


def test_a_request_carries_target_id_outputs_and_parameters() -> None:
    long = "ü☃" * 200
    request = load(tensor(), id=long, outputs=[{"name": "y"}, {"name": "x"}], parameters={"a": 1, "b": True, "c": "d"})
    assert (request.target, request.id, request.outputs) == (TARGET, long, ("y", "x"))
    assert request.parameters == {"a": 1, "b": True, "c": "d"}


@pytest.mark.parametrize("outputs", [{}, {"outputs": []}])
def test_no_outputs_mean_all_of_them(outputs: dict[str, Any]) -> None:
    assert load(tensor(), **outputs).outputs is None


def test_members_that_are_not_known_are_ignored() -> None:
    assert load(tensor(model_name="x"), model_name="m", outputs=[{"name": "y", "x": 1}]).outputs == ("y",)


@pytest.mark.parametrize(("data", "shape"), [
    ([1, 2, 3, 4, 5, 6], [2, 3]), ([[1, 2, 3], [4, 5, 6]], [2, 3]), ([[1, 2], [3, 4], [5, 6]], [2, 3]),
    ([[[1], [2], [3]], [[4], [5], [6]]], [2, 3]), ([[[[1, 2, 3, 4, 5, 6]]]], [2, 3]),
])  # fmt: skip
def test_data_is_row_major_flat_or_nested_in_any_rectangle(data: Any, shape: list[int]) -> None:
    assert array(data=data, shape=shape).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(("datatype", "dtype", "values"), [
    ("BOOL", "?", [True, False]), ("INT8", "i1", [-128, 127]), ("UINT64", "u8", [2**64 - 1, 0]),
    ("FP32", "f4", [0.5, 1]), ("FP64", "f8", [0.1, 2**53]), ("BYTES", "O", ["a", ""]),
])  # fmt: skip
def test_an_array_has_the_datatype_that_was_declared(datatype: str, dtype: str, values: list[Any]) -> None:
    read = array(datatype=datatype, data=values)
    assert read.dtype == np.dtype(dtype)
    assert read.tolist() == values


def test_null_is_nan_in_floating_tensors_as_the_codecs_of_mlserver_write_it() -> None:
    np.testing.assert_array_equal(array(datatype="FP32", data=[None, 1]), np.array([math.nan, 1], "f4"))


@pytest.mark.parametrize("padding", range(8))
def test_a_raw_tensor_is_aligned_and_writable_wherever_the_json_part_ends(padding: int) -> None:
    """Compiled models want the one, models that work in place the other."""
    part = json.dumps({"inputs": [tensor(data=..., parameters={"binary_data_size": 16})]}).encode() + b" " * padding
    inputs = v2.load(part + np.array([1, 2]).tobytes(), TARGET, str(len(part))).inputs
    assert isinstance(inputs, Tensors)
    assert inputs.arrays["a"].tolist() == [1, 2]
    assert inputs.arrays["a"].flags.aligned
    assert inputs.arrays["a"].flags.writeable


RAGGED = "input 'a': data is ragged; expected lists of one length at every level"
DIMENSIONS = "inputs[0].shape: expected a list of 1 to 16 whole numbers of 0 or more"


@pytest.mark.parametrize(("changes", "sentence"), [
    *(({"data": data}, RAGGED)
      for data in ([[1], [2, 3]], [1, [2]], [[1], 2], [[[1]], [2]], [[1, 2], []], [[[1], [2]], [[3]]])),
    ({"data": [1]}, "input 'a' has 1 values; its shape [2] wants 2"),
    ({"data": []}, "input 'a' has 0 values; its shape [2] wants 2"),
    ({"data": [[], []]}, "input 'a' has 0 values; its shape [2] wants 2"),
    ({"shape": [2**40]}, f"input 'a' has 2 values; its shape [{2**40}] wants {2**40}"),
    ({"shape": [HUGE] * 3}, f"input 'a' has 2 values; its shape {[HUGE] * 3} wants {HUGE**3}"),
    *(({"shape": shape, "data": []}, f"input 'a' has shape {shape}; expected at least one row, and one value in each")
      for shape in ([0], [0, 4], [3, 0], [0, HUGE, HUGE])),
    *(({"shape": shape}, DIMENSIONS)
      for shape in (2, [], [True], [2.0], ["2"], [-1], [None], [2**63], [1] * 17, "2", {}, [[2]])),
    ({"shape": ...}, "inputs[0].shape: missing data for required field"),
    ({"name": ...}, "inputs[0].name: missing data for required field"),
    ({"name": 5}, "inputs[0].name: not a valid string"),
    ({"name": ""}, "inputs[0].name: shorter than minimum length 1"),
    ({"datatype": ...}, "inputs[0].datatype: missing data for required field"),
    ({"data": ...}, "inputs[0].data: expected exactly one of data and binary_data_size, got neither"),
    ({"data": "abc"}, "inputs[0].data: expected a list of values"),
    ({"data": 5}, "inputs[0].data: expected a list of values"),
    ({"datatype": "FP16", "data": [1, 2]},
     "input 'a' is FP16, which JSON has no form for; send it as binary tensor data"),
    ({"data": [1, "2"]}, "input 'a', value 1: expected an integer, got text"),
    ({"data": [1, {"b64": "YQ=="}]}, "input 'a', value 1: expected an integer, got an object"),
    ({"data": [1, None]}, "input 'a', value 1: expected an integer, got null"),
    ({"data": [1, 2.5]}, "input 'a', value 1: expected an integer from -9223372036854775808 to 9223372036854775807"),
    ({"datatype": "FP64", "data": [1, "NaN"]}, "input 'a', value 1: expected a number, got text"),
    ({"parameters": []}, "inputs[0].parameters: not a valid mapping type"),
    ({"parameters": {"a": None}},
     "inputs[0].parameters: expected an object whose values are text, numbers, true or false"),
    ({"parameters": {"binary_data_size": 16}},
     "inputs[0].data: expected exactly one of data and binary_data_size, got both"),
    *(({"data": ..., "parameters": {"binary_data_size": size}},
       "inputs[0].parameters: expected a whole number of bytes as binary_data_size")
      for size in (-1, 1.0, "1", True)),
    ({"parameters": {"shared_memory_region": "x"}},
     "inputs[0].parameters: shared memory is not supported; send the values"),
])  # fmt: skip
def test_a_wrong_tensor_is_refused(changes: dict[str, Any], sentence: str) -> None:
    assert faults(tensor(**changes)) == (sentence,)


@pytest.mark.parametrize("datatype", ["BF16", "fp64", "STRING", "", "FP64 "])
def test_an_unknown_datatype_is_answered_with_the_known_ones(datatype: str) -> None:
    (sentence,) = faults(tensor(datatype=datatype))
    assert sentence.startswith("inputs[0].datatype: must be one of: BOOL, UINT8")


@pytest.mark.parametrize(("members", "sentence"), [
    ({"inputs": []}, "inputs: shorter than minimum length 1"),
    ({"inputs": {}}, "inputs: not a valid list"),
    ({"inputs": None}, "inputs: field may not be null"),
    ({"inputs": [5]}, "inputs[0]: invalid input type"),
    ({"inputs": [tensor(), tensor()]}, "input 'a' stands twice; expected each input once"),
    ({"inputs": [{}] * 10_001}, "inputs: expected at most 10000 tensors"),
    ({"id": 5}, "id: not a valid string"),
    ({"id": None}, "id: field may not be null"),
    ({"parameters": 5}, "parameters: not a valid mapping type"),
    ({"parameters": {"a": [1]}}, "parameters: expected an object whose values are text, numbers, true or false"),
    ({"outputs": {}}, "outputs: not a valid list"),
    ({"outputs": [{}]}, "outputs[0].name: missing data for required field"),
    ({"outputs": [{"name": "y", "parameters": "x"}]}, "outputs[0].parameters: not a valid mapping type"),
    ({"outputs": [{"name": "y"}] * 10_001}, "outputs: expected at most 10000 tensors"),
    ({"outputs": [{"name": "y"}, {"name": "x"}, {"name": "y"}]},
     "output 'y' is asked for twice; expected each output once"),
])  # fmt: skip
def test_a_wrong_envelope_is_refused(members: dict[str, Any], sentence: str) -> None:
    assert faults(**{"inputs": [tensor()], **members}) == (sentence,)


def test_a_body_without_inputs_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^inputs: missing data for required field$"):
        v2.load(b"{}", TARGET)


def test_faults_of_several_tensors_are_named_together() -> None:
    """One that is ragged does not hide the values of the next."""
    assert faults(tensor(data=[[1], 2]), tensor(name="b", data=["x", 2]), tensor(name="c", data=[1])) == (
        RAGGED,
        "input 'b', value 0: expected an integer, got text",
        "input 'c' has 1 values; its shape [2] wants 2",
    )


def test_names_in_messages_are_plain_and_short() -> None:
    (sentence,) = faults(tensor(name="a\r\n\x1b" + "x" * 100, data=[1]))
    assert sentence.startswith(r"input 'a\r\n\x1bxxx")
    assert sentence.isascii() is False  # the ellipsis is ours
    assert sentence.isprintable()


def dump(datatype: str, values: Any) -> dict[str, Any]:
    response = InferenceResponse("m", 3, {"y": values}, {"y": datatype}, "id-1")
    return dict(json.loads(v2.dump(response, v2.Asked(TARGET, Tensors({}))).body))


def test_an_answer_names_model_version_id_and_flat_tensors() -> None:
    assert dump("FP64", np.array([[1.0, 2.0], [3.0, 4.0]]).T) == {
        "model_name": "m", "model_version": "3", "id": "id-1",
        "outputs": [{"name": "y", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 3.0, 2.0, 4.0]}],
    }  # fmt: skip


@pytest.mark.parametrize(("datatype", "values", "data"), [
    ("FP64", np.array([[math.nan], [math.inf], [0.5]]), [None, None, 0.5]),
    ("BYTES", np.array([["a"], ["☃"]], dtype=object), ["a", "☃"]),
    ("BOOL", np.array([[True]]), [True]),
    ("INT64", np.array([[-(2**63)]]), [-(2**63)]),
])  # fmt: skip
def test_values_are_written_in_their_json_form(datatype: str, values: Any, data: list[Any]) -> None:
    assert dump(datatype, values)["outputs"][0]["data"] == data


def test_an_output_that_json_cannot_write_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^output 'y' is FP16, which JSON has no form for"):
        dump("FP16", np.array([[1.0]], "f2"))
