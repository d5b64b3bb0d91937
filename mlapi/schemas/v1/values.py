"""Values of V1: text as base64 objects, and answers with bare tokens for what JSON has no number for."""

import base64
import binascii
from typing import Any

import numpy as np

from mlapi.errors import InvalidRequest
from mlapi.inference.values import Array
from mlapi.schemas import jsonbody

B64 = "b64"
B64_BYTES = B64.encode()
"""Sought without its quotes: a text that ends in a frequent byte is sought slowly."""
BYTES_SUFFIX = "_bytes"
DOUBLE = 8  # bytes
SHORT = 512  # bytes
FEW = 16
"""Values up to which orjson takes a list for less than an array; of smaller datatypes only it knows the digits."""


def decode(data: bytes) -> dict[str, Any]:
    """Return the object in a body, with every `{"b64": text}` in it replaced by the text it encodes.

    Raises InvalidRequest, also on base64 that is none or does not encode UTF-8.
    """
    document = jsonbody.decode(data)
    if B64_BYTES not in data:
        return document
    return {name: _without_b64(value) for name, value in document.items()}


def encode(document: dict[str, Any], *, finite: bool = True) -> bytes:
    """Return the body of an answer whose values are arrays or plain; NaN and infinities are bare tokens.

    `finite` says whether the plain values are.
    """
    if finite:
        body = jsonbody.encode({name: _plain(value) for name, value in document.items()})
        # orjson's word for what is not finite, sought where that is the cheaper look; a text may hold it too
        if (len(body) < SHORT and b"null" not in body) or not any(map(_is_odd, document.values())):
            return body
    return jsonbody.encode_tokens({name: _shortest(value) for name, value in document.items()})


def numbers(array: Array) -> Array:
    """Return doubles with the digits of the array's own datatype: an FP32 0.1 is 0.1."""
    return array.astype(str).astype("f8") if array.dtype.kind == "f" and array.itemsize < DOUBLE else array.astype("f8")


def outgoing(name: str, answer: Array) -> Array:
    """Return an output as V1 writes it: `[n]` for `[n, 1]`, base64 objects where its name ends in `_bytes`."""
    squeezed = answer[:, 0] if answer.shape[1] == 1 else answer
    if squeezed.dtype.kind != "O" or not name.endswith(BYTES_SUFFIX):
        return squeezed
    wrapped = np.empty(squeezed.shape, dtype=object)
    for at, text in np.ndenumerate(squeezed):
        wrapped[at] = {B64: base64.b64encode(str(text).encode()).decode()}
    return wrapped


def _without_b64(value: Any) -> Any:  # noqa: ANN401 (decoded JSON)
    if type(value) is list:
        return [_without_b64(item) for item in value] if {dict, list} & set(map(type, value)) else value
    if type(value) is not dict:
        return value
    if value.keys() != {B64}:
        return {name: _without_b64(item) for name, item in value.items()}
    try:
        return base64.b64decode(value[B64], validate=True).decode("utf-8")
    except (binascii.Error, ValueError, TypeError):
        raise InvalidRequest(["a b64 object does not hold base64 of UTF-8 text"]) from None


def _is_odd(value: Any) -> bool:  # noqa: ANN401 (an array or plain JSON)
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all()


def _plain(value: Any) -> Any:  # noqa: ANN401 (an array or plain JSON)
    if not isinstance(value, np.ndarray):
        return value
    listed = value.dtype.kind == "O" or (value.size <= FEW and value.itemsize == DOUBLE)
    return value.tolist() if listed else np.ascontiguousarray(value)


def _shortest(value: Any) -> Any:  # noqa: ANN401 (see _plain)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return numbers(value).tolist()
    return value.tolist() if isinstance(value, np.ndarray) else value
