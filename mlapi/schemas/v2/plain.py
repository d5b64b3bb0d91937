"""Inference requests that are plainly in order: what the schema would make of them, without asking it.

None is no verdict: the schema decides, and has the words.
"""

from collections.abc import Container
from math import prod
from typing import Any

from mlapi.inference.arrays import cast
from mlapi.inference.faults import Faults
from mlapi.inference.signature import NUMPY_TYPES
from mlapi.schemas.rectangles import Lifted
from mlapi.schemas.v2.envelope import BINARY_SIZE, MOST_DIMENSIONS, MOST_TENSORS

KINDS = {"FP64": "d", "FP32": "d", "UINT64": "u", **dict.fromkeys(("INT8", "INT16", "INT32", "INT64"), "i"),
         **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "i")}  # fmt: skip
"""In which buffer the numbers of a datatype are read; those without are left to the ordinary way."""


def loaded(document: dict[str, Any], marks: Container[str] = ()) -> dict[str, Any] | None:
    """Return a document with its defaults filled in, or None; `data` may be one of `marks` where it is no list."""
    inputs, outputs = document.get("inputs"), document.get("outputs", [])
    parameters = document.get("parameters", {})
    if type(inputs) is not list or type(outputs) is not list or type(document.get("id", "")) is not str:
        return None
    if not 0 < len(inputs) <= MOST_TENSORS or len(outputs) > MOST_TENSORS or not _has_switch(
        parameters, "binary_data_output",
    ):
        return None
    if not all(map(_is_output, outputs)):
        return None
    tensors = [_tensor(tensor, marks) for tensor in inputs]
    if None in tensors:
        return None
    asked = [{"name": output["name"], "parameters": output.get("parameters", {})} for output in outputs]
    found = {"inputs": tensors, "outputs": asked, "parameters": parameters}
    return found | {"id": document["id"]} if "id" in document else found


def filled(lifted: Lifted) -> dict[str, Any] | None:
    """Return a document with arrays, in the datatypes and shapes of their tensors, where numbers were cut out."""
    document = loaded(lifted.document, lifted.places)
    marked = [] if document is None else [one for one in document["inputs"] if type(one.get("data")) is str]
    if len(marked) != len(lifted.places):  # one was cut out of something else
        return None
    for tensor in marked:
        datatype, shape = tensor["datatype"], tensor["shape"]
        array = lifted.numbers(tensor["data"], KINDS[datatype]) if datatype in KINDS else None
        if array is None or array.size != prod(shape):
            return None
        array = cast(array.reshape(-1), datatype, str, Faults())
        if array is None:
            return None
        tensor["data"] = array.reshape(shape)
    return document


def _tensor(tensor: Any, marks: Container[str]) -> dict[str, Any] | None:  # noqa: ANN401 (decoded JSON)
    if type(tensor) is not dict:
        return None
    name, shape, datatype = tensor.get("name"), tensor.get("shape"), tensor.get("datatype")
    if type(name) is not str or not name or type(datatype) is not str or datatype not in NUMPY_TYPES:
        return None
    if type(shape) is not list or not 0 < len(shape) <= MOST_DIMENSIONS:
        return None
    if any(type(size) is not int or not 0 <= size < 2**63 for size in shape):
        return None
    found = {"name": name, "shape": shape, "datatype": datatype, "parameters": tensor.get("parameters", {})}
    return _with_values(found, tensor, marks)


def _with_values(found: dict[str, Any], tensor: dict[str, Any], marks: Container[str]) -> dict[str, Any] | None:
    parameters = found["parameters"]
    if not _are_parameters(parameters) or "shared_memory_region" in parameters:
        return None
    if "data" not in tensor:
        size = parameters.get(BINARY_SIZE)
        return found if type(size) is int and size >= 0 else None
    data = tensor["data"]
    if BINARY_SIZE in parameters or (type(data) is not list and not (type(data) is str and data in marks)):
        return None
    found["data"] = data
    return found


def _is_output(output: Any) -> bool:  # noqa: ANN401 (decoded JSON)
    if type(output) is not dict or type(output.get("name")) is not str:
        return False
    parameters = output.get("parameters", {})
    return _has_switch(parameters, "binary_data") and "classification" not in parameters


def _has_switch(parameters: Any, name: str) -> bool:  # noqa: ANN401 (decoded JSON)
    return _are_parameters(parameters) and type(parameters.get(name, False)) is bool


def _are_parameters(parameters: Any) -> bool:  # noqa: ANN401 (decoded JSON)
    return type(parameters) is dict and all(isinstance(value, str | int | float) for value in parameters.values())
