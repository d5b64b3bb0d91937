"""ONNX graphs as predictors."""

from typing import Any

import numpy as np
import pytest

from mlapi.errors import ModelFailed, ModelRefusedInput
from mlapi.inference.signature import Signature, TensorSpec
from mlapi.runtimes import onnx_file
from mlapi.runtimes.onnx_file import OnnxPredictor
from mlapi.runtimes.pickled import UnloadableError

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")


def graph(node: str, kind: str, given: list[Any], answered: list[Any], out: str | None = None) -> bytes:
    """Return a graph of one node from x to y."""
    value, types = onnx.helper.make_tensor_value_info, onnx.TensorProto
    made = onnx.helper.make_graph(
        [onnx.helper.make_node(node, ["x"], ["y"])], "g",
        [value("x", getattr(types, kind), given)], [value("y", getattr(types, out or kind), answered)],
    )  # fmt: skip
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 15)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def predictor(data: bytes) -> tuple[OnnxPredictor, Signature]:
    session = onnx_file.load(data)
    inputs, outputs = onnx_file.specs(session)
    signature = Signature("columns", tuple(inputs), tuple(outputs))
    return OnnxPredictor(session, signature), signature


@pytest.mark.parametrize(
    ("kind", "datatype", "values"),
    [("FLOAT", "FP32", np.eye(2, dtype="f4")), ("DOUBLE", "FP64", np.eye(2)), ("INT64", "INT64", np.eye(2, dtype="i8")),
     ("BOOL", "BOOL", np.eye(2, dtype="?")), ("STRING", "BYTES", np.array([["a", "ß"], ["", "b"]], dtype=object))],
)  # fmt: skip
def test_tensors_come_back_in_their_datatypes(kind: str, datatype: str, values: Any) -> None:
    answering, signature = predictor(graph("Identity", kind, [None, 2], [None, 2]))
    assert signature.inputs == (TensorSpec("x", datatype, (-1, 2)),)
    answer = answering.predict({"x": values}, ("y",))["y"]
    assert answer.tolist() == values.tolist()
    assert answer.dtype == values.dtype


def test_a_vector_goes_in_and_comes_out_as_one_column() -> None:
    answering, signature = predictor(graph("Neg", "FLOAT", [None], [None]))
    assert signature.inputs[0].shape == (-1, 1)
    assert answering.predict({"x": np.array([1, 2], "f4")}, ("y",))["y"].tolist() == [[-1.0], [-2.0]]


def test_a_batch_that_the_graph_refuses_is_refused_input() -> None:
    answering, _ = predictor(graph("Neg", "FLOAT", [1, 2], [1, 2]))
    assert answering.predict({"x": np.ones((1, 2), "f4")}, ("y",))["y"].tolist() == [[-1.0, -1.0]]
    with pytest.raises(ModelRefusedInput, match="refuses these values or their shape"):
        answering.predict({"x": np.ones((3, 2), "f4")}, ("y",))


@pytest.mark.parametrize(("given", "asked"), [("z", "y"), ("x", "z")])
def test_names_that_the_graph_has_not_are_a_failure_and_no_crash(given: str, asked: str) -> None:
    answering, _ = predictor(graph("Neg", "FLOAT", [None, 2], [None, 2]))
    with pytest.raises((ModelFailed, ModelRefusedInput), match="the ONNX graph"):
        answering.predict({given: np.ones((1, 2), "f4")}, (asked,))


@pytest.mark.parametrize("shape", [[None, None], [None, "k"], [None, 3, 3], []], ids=str)
def test_shapes_that_are_no_table_are_refused(shape: list[Any]) -> None:
    session = onnx_file.load(graph("Identity", "FLOAT", shape, shape))
    with pytest.raises(UnloadableError, match=r"its 'x' has shape .*; expected \[batch\] or \[batch, a fixed number\]"):
        onnx_file.specs(session)


@pytest.mark.parametrize("data", [b"", b"x", b"\x08" * 100])
def test_other_bytes_are_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(UnloadableError, match="onnxruntime does not read it"):
        onnx_file.load(data)


def test_a_graph_computes_in_one_thread() -> None:
    options = onnx_file.load(graph("Neg", "FLOAT", [None, 2], [None, 2])).get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
