"""V2: the Open Inference Protocol, JSON form (open-inference-protocol, inference_rest.md)."""

import itertools
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from mlapi.errors import InvalidRequest
from mlapi.inference.arrays import array_of
from mlapi.inference.faults import Faults, quoted
from mlapi.inference.signature import NUMPY_TYPES
from mlapi.inference.values import Array, InferenceRequest, InferenceResponse, Target, Tensors
from mlapi.schemas import jsonbody
from mlapi.schemas.envelope import Envelope, checked

BINARY_ONLY = "FP16"


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
    faults.raise_any()
    outputs = tuple(output["name"] for output in document["outputs"]) or None
    return InferenceRequest(target, Tensors(arrays), outputs, document.get("id"), document["parameters"])


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
    values, before = _flattened(tensor["data"], name, faults), bool(faults)
    if datatype == BINARY_ONLY:
        faults.add(f"input {quoted(name)} is {datatype}, which JSON has no form for")
    elif len(values) != prod(shape) and not before:
        faults.add(f"input {quoted(name)} has {len(values)} values; its shape {shape} wants {prod(shape)}")
    elif not before:
        array = array_of(values, datatype, _place(name), faults, null=True)
        if array is not None:
            return array.reshape(shape)
    return np.empty(0)


def _flattened(data: list[Any], name: str, faults: Faults) -> list[Any]:
    """Return nested data flat; a ragged one is a fault, never flattened silently."""
    while data and list in set(map(type, data)):
        kinds, lengths = set(map(type, data)), {len(inner) for inner in data if type(inner) is list}
        if kinds != {list} or len(lengths) != 1:
            faults.add(f"input {quoted(name)}: data is ragged; expected lists of one length at every level")
            return []
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



def _dimension(value: object) -> None:
    if type(value) is not int or not 0 <= value < 2**63:
        msg = "expected whole numbers of 0 or more"
        raise ValidationError(msg)


class _Input(Envelope):
    name = fields.String(required=True, validate=validate.Length(1))
    shape = fields.List(fields.Raw(validate=_dimension), required=True, validate=validate.Length(1, 16))
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
    inputs = fields.List(fields.Nested(_Input), required=True, validate=validate.Length(1))
    outputs = fields.List(fields.Nested(_Output), load_default=list)

    @post_load
    def _value(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        return data


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
