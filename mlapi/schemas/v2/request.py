"""Inference requests of V2: a JSON part, then raw tensors where the request says so."""

import base64
import binascii
import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from mlapi.errors import InvalidRequest
from mlapi.inference import tensorbytes
from mlapi.inference.arrays import array_of, straight
from mlapi.inference.faults import Faults, quoted
from mlapi.inference.values import Array, InferenceRequest, RawTensor, Target, Tensors
from mlapi.schemas import jsonbody, rectangles
from mlapi.schemas.envelope import checked
from mlapi.schemas.v2 import plain
from mlapi.schemas.v2.envelope import BINARY_SIZE, Infer

BINARY_ONLY = "FP16"
LONGEST_LENGTH = 19  # digits: that of any file; Python itself gives up on thousands
_INFER = Infer()
_OPENING = re.compile(rb'"data"\s*:\s*\[')


@dataclass(frozen=True, slots=True)
class Wanted:
    """How one output is to be written: as bytes behind the JSON part, or as its best `classes` classes."""

    binary: bool
    classes: int | None = None


@dataclass(slots=True)
class Asked(InferenceRequest):
    """A request of V2; `wanted` says how the outputs named in it are written, `binary` how others are."""

    wanted: Mapping[str, Wanted] | None = None
    binary: bool = False

    @property
    def wants_texts(self) -> bool:
        """Whether an output is wanted as its best classes (Triton, "Classification extension")."""
        return any(one.classes is not None for one in (self.wanted or {}).values())


def load(data: bytes, target: Target, json_length: str | None = None) -> Asked:
    """Return the inference request in a body, with arrays in the datatypes and shapes it declares.

    `json_length` is the header Inference-Header-Content-Length: the bytes of the JSON part, behind which
    stand the tensors that have `binary_data_size`, in the order of the inputs; "0" is a raw request, all
    of it one tensor. Flat and nested `data` are row-major. Nothing is allocated before the product of a
    shape is compared with the number of values. Raises InvalidRequest with every fault.
    """
    cut = _cut(json_length, len(data))
    if cut == 0:
        return Asked(target, RawTensor(data), binary=True)
    document = _document(data if cut == len(data) else data[:cut])
    faults = Faults()
    inputs = Tensors(_arrays(document, memoryview(data)[cut:], faults))
    return asked(document, inputs, target, faults)


def asked(document: dict[str, Any], inputs: Tensors, target: Target, faults: Faults) -> Asked:
    """Return the request of a document that is in order, but perhaps for an output that stands twice.

    Raises InvalidRequest, for `faults` that were found before as well.
    """
    parameters = document["parameters"]
    binary = parameters.get("binary_data_output", False)
    wanted = {output["name"]: _wanted(output["parameters"], binary=binary) for output in document["outputs"]}
    if len(wanted) != len(document["outputs"]):
        twice = [name for name, times in Counter(o["name"] for o in document["outputs"]).items() if times > 1]
        faults.each(twice, lambda name: f"output {quoted(name)} is asked for twice; expected each output once")
    faults.raise_any()
    return Asked(target, inputs, tuple(wanted) or None, document.get("id"), parameters, wanted, binary)


def _document(text: bytes) -> dict[str, Any]:
    """Return the JSON part as the schema loads it, with arrays as `data` where those are large and of numbers."""
    lifted = rectangles.lift(text, _OPENING, jsonbody.decode) if len(text) >= rectangles.LARGE else None
    document = plain.filled(lifted) if lifted is not None else None
    if document is None:
        whole = jsonbody.decode(text)
        document = plain.loaded(whole) or checked(_INFER, whole)
    return document


def _cut(json_length: str | None, size: int) -> int:
    if json_length is None:
        return size
    text = json_length.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_LENGTH) or int(text) > size:
        expected = f"expected a number of bytes, at most the body's {size}"
        raise InvalidRequest([f"Inference-Header-Content-Length: {expected}"])
    return int(text)


def _wanted(parameters: Mapping[str, Any], *, binary: bool) -> Wanted:
    return Wanted(parameters.get("binary_data", binary), parameters.get("classification"))


def _arrays(document: dict[str, Any], tail: memoryview, faults: Faults) -> dict[str, Array]:
    sizes = [tensor["parameters"].get(BINARY_SIZE, 0) for tensor in document["inputs"]]
    if sum(sizes) != len(tail):
        raise InvalidRequest([f"{len(tail)} bytes follow the JSON part; the inputs announce {sum(sizes)}"])
    arrays: dict[str, Array] = {}
    for tensor, end in zip(document["inputs"], itertools.accumulate(sizes), strict=True):
        name = tensor["name"]
        if name in arrays:
            faults.add(f"input {quoted(name)} stands twice; expected each input once")
            continue
        raw = tail[end - tensor["parameters"].get(BINARY_SIZE, 0) : end]
        array = _array(tensor, raw, _content_type(tensor, document), faults)
        arrays[name] = np.empty(0) if array is None else array
    return arrays


def _content_type(tensor: dict[str, Any], document: dict[str, Any]) -> object:
    """MLServer's `content_type`: that of the input wins over that of the request."""
    return tensor["parameters"].get("content_type", document["parameters"].get("content_type"))


def _array(tensor: dict[str, Any], raw: memoryview, content_type: object, faults: Faults) -> Array | None:
    name, shape, datatype = quoted(tensor["name"]), tensor["shape"], tensor["datatype"]
    if 0 in shape:
        faults.add(f"input {name} has shape {shape}; expected at least one row, and one value in each")
        return None
    if "data" not in tensor:
        array = tensorbytes.decode(raw, datatype, shape, name, faults)
    else:
        array = _straight(tensor["data"], datatype, shape)
        if array is None:
            array = _from_json(tensor["data"], name, datatype, shape, faults)
    if array is not None and content_type == "base64" and datatype == "BYTES":
        return _from_base64(array, name, faults)
    return array


def _straight(data: list[Any] | Array, datatype: str, shape: list[int]) -> Array | None:
    """Return the tensor where its values are plainly in order, flat or in rows, else None."""
    if isinstance(data, np.ndarray):
        return data
    if data and type(data[0]) is list:
        if set(map(type, data)) != {list} or len(set(map(len, data))) != 1:
            return None
        data = list(itertools.chain.from_iterable(data))
    array = straight(data, datatype) if len(data) == prod(shape) else None
    return None if array is None else array.reshape(shape)


def _from_json(data: list[Any], name: str, datatype: str, shape: list[int], faults: Faults) -> Array | None:
    values = _flattened(data)
    if datatype == BINARY_ONLY:
        faults.add(f"input {name} is {datatype}, which JSON has no form for; send it as binary tensor data")
    elif values is None:
        faults.add(f"input {name}: data is ragged; expected lists of one length at every level")
    elif len(values) != prod(shape):
        faults.add(f"input {name} has {len(values)} values; its shape {shape} wants {prod(shape)}")
    else:
        array = array_of(values, datatype, _place(name), faults, null=True)
        return None if array is None else array.reshape(shape)
    return None


def _from_base64(array: Array, name: str, faults: Faults) -> Array | None:
    texts = np.empty(array.size, dtype=object)
    for i, text in enumerate(array.reshape(-1)):
        try:
            texts[i] = base64.b64decode(text, validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            faults.add(f"input {name}, value {i}: expected base64 of UTF-8 text")
    return None if faults else texts.reshape(array.shape)


def _flattened(data: list[Any]) -> list[Any] | None:
    """Return nested data flat, or None where it is ragged."""
    while data and list in set(map(type, data)):
        kinds, lengths = set(map(type, data)), {len(inner) for inner in data if type(inner) is list}
        if kinds != {list} or len(lengths) != 1:
            return None
        data = list(itertools.chain.from_iterable(data))
    return data


def _place(name: str) -> Callable[[int], str]:
    return lambda i: f"input {name}, value {i}"
