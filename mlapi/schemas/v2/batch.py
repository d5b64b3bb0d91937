"""Inferences of one row of one tensor of doubles, many read as one request and answered apart.

A body is cut into the values of its row, in JSON or as raw bytes, and the frame around them. What the frame means is
asked of the ordinary way once, and remembered. A request that brings an id of its own goes the ordinary way: no other
has its frame.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from mlapi.errors import InvalidRequest
from mlapi.inference import tensorbytes
from mlapi.inference.faults import Faults
from mlapi.inference.values import Array, Assignment, InferenceResponse, Target, Tensors
from mlapi.schemas import jsonbody, rows
from mlapi.schemas.v2 import plain, request
from mlapi.schemas.v2.envelope import BINARY_SIZE
from mlapi.schemas.v2.request import BINARY_ONLY, Asked, Wanted
from mlapi.schemas.v2.response import Dumped

MOST_FRAMES = 1024
LONGEST_FRAME = 512
"""Bytes; see V1's."""

DATATYPE = "FP64"
BYTES_PER_VALUE = 8
LONGEST_DIGITS = 5
ID = b'"id"'

NOBODY = Target("")
"""Whose frame it is does not matter."""

_DATA = b'"data"'
_TRIED = (b"[0]", b"[1,2]")
_NUMBERS = frozenset("fiub")


class Frame(NamedTuple):
    """What a body says beside its values: their tensor, and what is asked for; `raw` values are bytes, not JSON."""

    name: str
    shape: tuple[int, ...]
    asked: Asked
    raw: bool


def cut(body: bytes, json_length: str | None = None) -> tuple[Frame, bytes] | None:
    """Return the frame of a body and the values of its row; None for any other body. See `request.load`."""
    if json_length is not None:
        return _cut_raw(body, json_length)
    begin = body.find(b"[", body.find(_DATA) + len(_DATA))
    end = body.find(b"]", begin)
    numbers = rows.cut(body, begin + 1, end)
    if numbers is None or begin + len(body) - end > LONGEST_FRAME:
        return None
    before, after = body[:begin], body[end + 1 :]
    if ID in before or ID in after:
        return None
    frame = _frame(before, after)
    return None if frame is None else (frame, numbers)


def gather(target: Target, frame: Frame, values: Sequence[bytes]) -> Asked | None:
    """Return the request of all rows; None where they are not rows of the shape that the frame declares."""
    array = _doubles(frame, values) if frame.raw else rows.read(values)
    if array is None or array.shape[1] != prod(frame.shape):
        return None
    tensors, asked = Tensors({frame.name: array.reshape(len(values), *frame.shape[1:])}), frame.asked
    return Asked(target, tensors, asked.outputs, None, asked.parameters, asked.wanted, asked.binary)


def scatter(
    response: InferenceResponse, asked: Asked, ids: Sequence[str], assignments: Sequence[Assignment | None],
) -> list[Dumped] | None:
    """Return the body of an answer to each row, under these ids, as `response.dump` writes it.

    None for texts and classes, and where some outputs are asked for as bytes and others not.
    """
    binary = {(asked.wanted or {}).get(name, Wanted(asked.binary)).binary for name in response.outputs}
    if len(binary) != 1 or not all(map(_is_plain, response.outputs.values())):
        return None
    named = {"model_name": response.model, "model_version": str(response.version)}
    opening = jsonbody.encode(named)[:-1] + b',"outputs":['
    closings = [_closing(*own) for own in zip(ids, assignments, strict=True)]
    write = _bytes if binary.pop() else _json
    return write(response, opening, closings)


def _json(response: InferenceResponse, opening: bytes, closings: list[bytes]) -> list[Dumped] | None:
    columns = []
    for name, array in response.outputs.items():
        if response.datatypes[name] == BINARY_ONLY:
            return None
        before = jsonbody.encode(_output(response, name, array))[:-1] + b',"data":['
        columns.append([b"%b%b]}" % (before, row) for row in rows.apart(rows.text(array))])
    lists = columns[0] if len(columns) == 1 else map(b",".join, zip(*columns, strict=True))
    return [Dumped(b"%b%b%b" % (opening, row, end), None) for row, end in zip(lists, closings, strict=True)]


def _bytes(response: InferenceResponse, opening: bytes, closings: list[bytes]) -> list[Dumped]:
    outputs, tails = [], []
    for name, array in response.outputs.items():
        size = array[:1].nbytes
        outputs.append(_output(response, name, array) | {"parameters": {BINARY_SIZE: size}})
        whole = bytes(tensorbytes.encode(array, response.datatypes[name]))
        tails.append([whole[at : at + size] for at in range(0, len(whole), size)])
    before = opening + jsonbody.encode(outputs)[1:-1]
    heads = [before + end for end in closings]
    return [Dumped(b"".join([head, *tail]), len(head)) for head, *tail in zip(heads, *tails, strict=True)]


def _output(response: InferenceResponse, name: str, array: Array) -> dict[str, Any]:
    return {"name": name, "shape": [1, *array.shape[1:]], "datatype": response.datatypes[name]}


def _closing(own_id: str, assignment: Assignment | None) -> bytes:
    """Return what ends the JSON part of one answer, behind its outputs."""
    last: dict[str, Any] = {"id": own_id}
    if assignment is not None and assignment.prediction_id is not None:
        last["parameters"] = {"prediction_id": assignment.prediction_id}
    return b"]," + jsonbody.encode(last)[1:]


def _is_plain(array: Array) -> bool:
    return array.dtype.kind in _NUMBERS


def _cut_raw(body: bytes, json_length: str) -> tuple[Frame, bytes] | None:
    if not (json_length.isascii() and json_length.isdecimal() and len(json_length) <= LONGEST_DIGITS):
        return None
    length = int(json_length)
    if not 0 < length <= min(len(body), LONGEST_FRAME) or len(body) > rows.LONGEST:
        return None
    frame = _raw_frame(body[:length])
    if frame is None or len(body) - length != prod(frame.shape) * BYTES_PER_VALUE:
        return None
    return frame, body[length:]


def _doubles(frame: Frame, values: Sequence[bytes]) -> Array:
    """Return rows `[n, k]`, writable as those of single requests are."""
    return np.frombuffer(bytearray().join(values), "<f8").reshape(len(values), prod(frame.shape))


@lru_cache(MOST_FRAMES)
def _frame(before: bytes, after: bytes) -> Frame | None:
    """Return what stands around the `data` of one tensor, None where that is no inference in order.

    Two rows are tried: what answers for neither was sought in the wrong place, such as within a text.
    """
    first, second = (_read(before + tried + after) for tried in _TRIED)
    if first is None or second is None:
        return None
    there = (first[1].get("data"), second[1].get("data")) == ([0], [1, 2])
    return Frame(*first[0], raw=False) if there and first[0] == second[0] else None


@lru_cache(MOST_FRAMES)
def _raw_frame(head: bytes) -> Frame | None:
    """Return what a JSON part says of the raw values behind it, None where that is no inference in order."""
    found = _read(head)
    if found is None or "data" in found[1]:
        return None
    frame, size = Frame(*found[0], raw=True), found[1]["parameters"][BINARY_SIZE]
    return frame if size == prod(frame.shape) * BYTES_PER_VALUE else None


def _read(text: bytes) -> tuple[tuple[str, tuple[int, ...], Asked], dict[str, Any]] | None:
    """Return the name and shape of a document's only tensor, what it asks for, and the tensor; None for any other."""
    try:
        document = plain.loaded(jsonbody.decode(text))
    except InvalidRequest:
        return None
    if document is None or "id" in document or len(document["inputs"]) != 1:
        return None
    (tensor,), shape = document["inputs"], document["inputs"][0]["shape"]
    if tensor["datatype"] != DATATYPE or shape[0] != 1 or not prod(shape):
        return None
    try:
        asked = request.asked(document, Tensors({}), NOBODY, Faults())
    except InvalidRequest:
        return None
    return (tensor["name"], tuple(shape), asked), tensor
