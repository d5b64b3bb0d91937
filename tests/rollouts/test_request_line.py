"""A line of the request log: what goes in comes out, to the last bit, whatever its datatype."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from mlapi.inference.signature import NUMPY_TYPES
from mlapi.inference.values import Array
from mlapi.rollouts import request_line
from mlapi.rollouts.request_line import LoggedRequest

SHAPES = st.just((3,)) | st.tuples(st.just(3), st.integers(1, 4))
HALF = "half of a pair: \ud800"
TEXTS = st.text(max_size=8) | st.binary(max_size=8) | st.none() | st.just(HALF)


def of_datatype(datatype: str) -> st.SearchStrategy[Array]:
    if datatype == "BYTES":
        return arrays_of.arrays(np.dtype(object), SHAPES, elements=TEXTS)
    return arrays_of.arrays(np.dtype(NUMPY_TYPES[datatype]), SHAPES)


def request(inputs: dict[str, Array], outputs: dict[str, Array], took: int = 1) -> LoggedRequest:
    return LoggedRequest(1_800_000_000_123, 7, 3, took, inputs, outputs)


def same(was: Array, now: Array) -> bool:
    """Equal to the last bit, signs of zeros too; of what is no number only that it is none."""
    if was.dtype != now.dtype or was.shape != now.shape:
        return False
    if was.dtype.kind != "f":
        return bool((was == now).all())
    lacks = np.isnan(was)
    return bool((lacks == np.isnan(now)).all()) and was[~lacks].tobytes() == now[~lacks].tobytes()


@pytest.mark.parametrize("datatype", NUMPY_TYPES)
@given(data=st.data(), took=st.integers(0, 10**12))
def test_a_request_comes_back_to_the_last_bit(datatype: str, data: st.DataObject, took: int) -> None:
    inputs, outputs = data.draw(of_datatype(datatype)), data.draw(of_datatype(datatype))
    asked = request({"x": inputs, "ä 😀": inputs}, {"predict": outputs}, took)
    line = request_line.dumps(asked)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found = request_line.loads(line)
    assert (found.at_ms, found.version, found.rows, found.predict_ns) == (1_800_000_000_123, 7, 3, took)
    assert list(found.inputs) == ["x", "ä 😀"]
    assert same(inputs, found.inputs["x"])
    assert same(outputs, found.outputs["predict"])


def test_what_json_has_no_number_for_is_spelt() -> None:
    values = np.array([[np.nan, np.inf], [-np.inf, -0.0], [0.0, 1.0]])
    line = json.loads(request_line.dumps(request({"x": values}, {"y": np.array(["a", b"\xff", None], dtype=object)})))
    assert line["x"] == {"x": ["FP64", [["NaN", "Infinity"], ["-Infinity", -0.0], [0.0, 1.0]]]}
    assert line["y"] == {"y": ["BYTES", ["a", {"base64": "/w=="}, None]]}


@pytest.mark.parametrize("line", [
    b"", b"{", b"[]", b"7", b'{"t": 1}', b'{"t": 1, "v": 1, "n": 1, "l": 1, "x": [], "y": {}}',
    b'{"t": 1, "v": 1, "n": 1, "l": 1, "x": {"a": ["FP65", [1]]}, "y": {}}',
    b'{"t": 1, "v": 1, "n": 1, "l": 1, "x": {"a": ["FP64", ["much"]]}, "y": {}}',
    b'{"t": 1, "v": 1, "n": 1, "l": 1, "x": {"a": ["INT8", [300]]}, "y": {}}',
    b'{"t": 1, "v": 1, "n": 1, "l": 1, "x": {"a": ["BYTES", [{"base64": "a"}]]}, "y": {}}',
    b'{"t": 1, "v": 1, "n": 1, "l": 1, "x": {"a": ["BYTES", [{"other": "a"}]]}, "y": {}}',
    b'{"t": 1, "v": 1, "n": 2, "l": 1, "x": {"a": ["INT8", [3]]}, "y": {"a": ["INT8", [3, 3]]}}',
    b'{"t": 1, "v": 1, "n": 0, "l": 1, "x": {}, "y": {}}',
    b'{"t": "soon", "v": 1, "n": 1, "l": 1, "x": {}, "y": {}}', b"\xff",
])  # fmt: skip
def test_what_is_no_logged_request_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        request_line.loads(line)
