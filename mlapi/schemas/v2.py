"""V2: the Open Inference Protocol, JSON form (open-inference-protocol, inference_rest.md)."""

import itertools
from collections import Counter
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from marshmallow import ValidationError, fields, validate, validates_schema

from mlapi.errors import InvalidRequest
from mlapi.inference.arrays import array_of
from mlapi.inference.faults import Faults, quoted
from mlapi.inference.signature import NUMPY_TYPES
from mlapi.inference.values import Array, InferenceRequest, InferenceResponse, Target, Tensors
from mlapi.schemas import jsonbody
from mlapi.schemas.envelope import Envelope, checked

BINARY_ONLY = "FP16"
MOST_TENSORS = 10_000
MOST_DIMENSIONS = 16


def load(data: bytes, target: Target) -> InferenceRequest:
    """Return the inference request in a body, with arrays in the datatypes and shapes it declares.

    Flat and nested `data` are both row-major. Nothing is allocated before the product of a shape is
    compared with the number of values. Raises InvalidRequest with every fault.
    """
    document = checked(_INFER, jsonbody.decode(data))
    faults = Faults()
    arrays: dict[str, Array] = {}
    for tensor in document["inputs"]:
        if tensor["name"] in arrays:
            faults.add(f"input {quoted(tensor['name'])} stands twice; expected each input once")
            continue
        arrays[tensor["name"]] = _array(tensor, faults)
    outputs = tuple(output["name"] for output in document["outputs"])
    twice = [name for name, times in Counter(outputs).items() if times > 1]
    faults.each(twice, lambda name: f"output {quoted(name)} is asked for twice; expected each output once")
    faults.raise_any()
    return InferenceRequest(target, Tensors(arrays), outputs or None, document.get("id"), document["parameters"])


def dump(response: InferenceResponse) -> bytes:
    """Return the body of an answer: `data` flat and row-major, numbers that are not finite as null."""
    outputs = [
        {
            "name": name,
            "shape": list(array.shape),
            "datatype": response.datatypes[name],
            "data": _flat(array, response.datatypes[name], name),
        }
        for name, array in response.outputs.items()
    ]
    body = {"model_name": response.model, "model_version": str(response.version), "id": response.id, "outputs": outputs}
    return jsonbody.encode(body)


def _flat(array: Array, datatype: str, name: str) -> Any:  # noqa: ANN401 (a list, or an array that orjson writes)
    if datatype == BINARY_ONLY:
        raise InvalidRequest([f"output '{name}' is {datatype}, which JSON has no form for; ask for another output"])
    flat = np.ascontiguousarray(array.reshape(-1))
    return flat.tolist() if flat.dtype == object else flat


def _array(tensor: dict[str, Any], faults: Faults) -> Array:
    name, shape, datatype = tensor["name"], tensor["shape"], tensor["datatype"]
    values = _flattened(tensor["data"])
    if datatype == BINARY_ONLY:
        faults.add(f"input {quoted(name)} is {datatype}, which JSON has no form for")
    elif values is None:
        faults.add(f"input {quoted(name)}: data is ragged; expected lists of one length at every level")
    elif 0 in shape:
        faults.add(f"input {quoted(name)} has shape {shape}; expected at least one row, and one value in each")
    elif len(values) != prod(shape):
        faults.add(f"input {quoted(name)} has {len(values)} values; its shape {shape} wants {prod(shape)}")
    else:
        array = array_of(values, datatype, _place(name), faults, null=True)
        if array is not None:
            return array.reshape(shape)
    return np.empty(0)


def _flattened(data: list[Any]) -> list[Any] | None:
    """Return nested data flat, or None where it is ragged."""
    while data and list in set(map(type, data)):
        kinds, lengths = set(map(type, data)), {len(inner) for inner in data if type(inner) is list}
        if kinds != {list} or len(lengths) != 1:
            return None
        data = list(itertools.chain.from_iterable(data))
    return data


def _place(name: str) -> Callable[[int], str]:
    return lambda i: f"input {quoted(name)}, value {i}"


class _Parameters(fields.Dict):
    """Strings, numbers and booleans by name."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (marshmallow's signature)
        loaded = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        if any(not isinstance(item, str | int | float | bool) for item in loaded.values()):
            msg = "expected an object whose values are text, numbers, true or false"
            raise ValidationError(msg)
        return loaded


class _TensorList(fields.List):  # type: ignore[type-arg]
    """A list whose length is judged before its items, each of which costs more than it weighs."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (marshmallow's signature)
        if type(value) is list and len(value) > MOST_TENSORS:
            msg = f"expected at most {MOST_TENSORS} tensors"
            raise ValidationError(msg)
        return super()._deserialize(value, attr, data, **kwargs)


def _shape(value: object) -> None:
    fits = type(value) is list and 1 <= len(value) <= MOST_DIMENSIONS
    if not fits or any(type(size) is not int or not 0 <= size < 2**63 for size in value):  # type: ignore[attr-defined]
        msg = f"expected a list of 1 to {MOST_DIMENSIONS} whole numbers of 0 or more"
        raise ValidationError(msg)


class _Input(Envelope):
    name = fields.String(required=True, validate=validate.Length(1))
    shape = fields.Raw(required=True, validate=_shape)
    datatype = fields.String(required=True, validate=validate.OneOf(tuple(NUMPY_TYPES)))
    parameters = _Parameters(load_default=dict)
    data = fields.Raw()

    @validates_schema
    def _has_data(self, data: dict[str, Any], **_: object) -> None:
        if "binary_data_size" in data.get("parameters", {}):
            msg = "binary tensor data is not supported; send the values as 'data'"
            raise ValidationError(msg, "parameters")
        if "shared_memory_region" in data.get("parameters", {}):
            msg = "shared memory is not supported; send the values as 'data'"
            raise ValidationError(msg, "parameters")
        if type(data.get("data")) is not list:
            msg = "expected a list of values"
            raise ValidationError(msg, "data")


class _Output(Envelope):
    name = fields.String(required=True)
    parameters = _Parameters(load_default=dict)


class _Infer(Envelope):
    id = fields.String()
    parameters = _Parameters(load_default=dict)
    inputs = _TensorList(fields.Nested(_Input), required=True, validate=validate.Length(1))
    outputs = _TensorList(fields.Nested(_Output), load_default=list)


class ServerSchema(Envelope):
    """GET /v2."""

    name = fields.String(required=True)
    version = fields.String(required=True)
    extensions = fields.List(fields.String(), required=True)


class _Tensor(Envelope):
    name = fields.String(required=True)
    datatype = fields.String(required=True)
    shape = fields.List(fields.Integer(), required=True)


class ModelSchema(Envelope):
    """GET /v2/models/<name>."""

    name = fields.String(required=True)
    versions = fields.List(fields.String(), required=True)
    platform = fields.String(required=True)
    inputs = fields.List(fields.Nested(_Tensor), required=True)
    outputs = fields.List(fields.Nested(_Tensor), required=True)


_INFER = _Infer()
