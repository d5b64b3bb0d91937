"""One logged request as a line of JSON, and back, to the last bit.

`{"t": ms, "v": version, "n": rows, "l": model ms, "x": {name: [datatype, values]}, "y": {name: [datatype, values]}}`:
`x` are the inputs as they conformed to the signature, `y` the outputs, both by name, their values nested as their
shapes are. What JSON has no number for is the text NaN, Infinity or -Infinity; a missing text is null, and bytes
are `{"base64": text}`.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from mlapi.inference.signature import NUMPY_TYPES
from mlapi.inference.values import Array

BASE64 = "base64"
MILLISECOND = 1_000_000
_DATATYPES = {np.dtype(name): datatype for datatype, name in NUMPY_TYPES.items()}


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request that was answered: when, in milliseconds since the epoch, by which version, and what that cost.

    `predict_ns` is how long the model took; `inputs` and `outputs` are arrays as the version had them.
    """

    at_ms: int
    version: int
    rows: int
    predict_ns: int
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


def dumps(request: LoggedRequest) -> bytes:
    """Return the line of a request, with its end. Raises KeyError for arrays of a datatype that no signature has."""
    line = {
        "t": request.at_ms, "v": request.version, "n": request.rows, "l": request.predict_ns / MILLISECOND,
        "x": {name: _told(array) for name, array in request.inputs.items()},
        "y": {name: _told(array) for name, array in request.outputs.items()},
    }  # fmt: skip
    try:
        return orjson.dumps(line, default=_bytes_told, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # half of a surrogate pair, which JSON may hold and UTF-8 may not
        return json.dumps(line, default=_bytes_told, separators=(",", ":")).encode() + b"\n"


def loads(line: bytes) -> LoggedRequest:
    """Return the request in a line; raises ValueError where it is none."""
    try:
        read = json.loads(line)
        inputs, outputs = ({name: _array(*told) for name, told in read[part].items()} for part in ("x", "y"))
        rows, took = int(read["n"]), round(read["l"] * MILLISECOND)
        lengths = {len(array) for array in (*inputs.values(), *outputs.values())}
        if not inputs or not outputs or lengths != {rows}:
            raise ValueError(f"no logged request: expected inputs and outputs of {rows} rows")
        return LoggedRequest(int(read["t"]), int(read["v"]), rows, took, inputs, outputs)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"no logged request: {error}") from error


def _told(array: Array) -> tuple[str, Any]:
    datatype = _DATATYPES[array.dtype]
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return datatype, _spelt(array)
    return datatype, array.tolist()


def _spelt(array: Array) -> Any:  # noqa: ANN401 (nested lists)
    """Return the values of an array of floats, those that are no numbers as text."""
    values = array.astype("f8").astype(object)
    values[np.isnan(array)] = "NaN"
    values[np.isposinf(array)] = "Infinity"
    values[np.isneginf(array)] = "-Infinity"
    return values.tolist()


def _bytes_told(value: Any) -> object:  # noqa: ANN401 (whatever JSON has no form for)
    if isinstance(value, bytes):
        return {BASE64: base64.b64encode(value).decode()}
    msg = f"{type(value).__name__} has no JSON form"
    raise TypeError(msg)


def _array(datatype: str, values: Any) -> Array:  # noqa: ANN401 (nested lists)
    array = np.array(values, dtype=NUMPY_TYPES[datatype])
    if array.dtype == object:
        for place, value in np.ndenumerate(array):
            if isinstance(value, dict):
                array[place] = base64.b64decode(value[BASE64])
    return array
