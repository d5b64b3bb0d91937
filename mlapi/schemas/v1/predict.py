"""The predict API: rows or columns in, predictions or outputs out."""

import re
from itertools import chain
from typing import Any

import numpy as np
from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from mlapi.inference.values import (
    Array,
    Columns,
    InferenceRequest,
    InferenceResponse,
    Inputs,
    Numbers,
    Rows,
    Target,
)
from mlapi.schemas import rectangles, rows
from mlapi.schemas.envelope import Envelope, checked
from mlapi.schemas.v1 import frames, values
from mlapi.schemas.v1.frames import FORMS, PROBABILITIES, SERVING_DEFAULT, SIGNATURES, plain

NUMBERS: set[type] = {int, float}
NUMERIC = rows.NUMERIC + b"[]"
"""What arrays of numbers are written with (RFC 8259, sections 5 and 6)."""

_OPENING = re.compile(rb'"(?:instances|inputs)"\s*:\s*\[')


def load(data: bytes, target: Target) -> InferenceRequest:
    """Return the predict request in a body: `instances` are rows, `inputs` are columns.

    Without `signature_name`, or with "" or `serving_default`, the first output is asked for; with
    `predict_proba` the probabilities. Any other name is no signature of predict. Raises InvalidRequest.
    """
    inputs, name = _large(data) or _small(data)
    return InferenceRequest(target, inputs, outputs_of(name))


def dump(response: InferenceResponse, request: InferenceRequest) -> bytes:
    """Return the body of an answer: `predictions` for rows, `outputs` for columns.

    A predict answers one output, so its name is left out; a trailing dimension of one is squeezed.
    Numbers that are not finite are the bare tokens NaN, Infinity and -Infinity.
    """
    name, answer = next(iter(response.outputs.items()))
    return values.encode({member_of(request): values.outgoing(name, answer)})


def member_of(request: InferenceRequest) -> str:
    """Return under which member the answer to a request stands."""
    inputs = request.inputs
    by_row = inputs.by_row if isinstance(inputs, Numbers) else isinstance(inputs, Rows)
    return "predictions" if by_row else "outputs"


def outputs_of(signature: str) -> tuple[str, ...]:
    """Return the outputs that a signature asks for; () is the first."""
    return () if signature in {"", SERVING_DEFAULT} else (signature,)


def _large(data: bytes) -> tuple[Numbers, str] | None:
    """Return the request of a body that is one large array of numbers, or None."""
    return None if len(data) < rectangles.LARGE else _framed(data) or _lifted(data)


def _framed(data: bytes) -> tuple[Numbers, str] | None:
    """Return the request of a body whose frame is known, as soon as one like it was read."""
    found = frames.around(data)
    if found is None:
        return None
    frame, begin, end = found
    array = rectangles.numbers(data, begin, end)
    return None if array is None else (_numbers(array, frame.member, data), frame.signature)


def _lifted(data: bytes) -> tuple[Numbers, str] | None:
    lifted = rectangles.lift(data, _OPENING, values.decode, first=True)
    if lifted is None:
        return None
    member, name = plain(lifted.document), lifted.document.get("signature_name", "")
    if member is None or lifted.document[member] != "#0" or len(lifted.places) > 1:
        return None
    array = lifted.numbers("#0")
    return None if array is None or array.ndim == 1 else (_numbers(array, member, data), name)


def _numbers(array: Array, member: str, data: bytes) -> Numbers:
    by_row = member == "instances"
    return Numbers(array, lambda: _form(member, values.decode(data)[member]), by_row=by_row, complete=True)


def _small(data: bytes) -> tuple[Inputs, str]:
    document = values.decode(data)
    member = plain(document)
    if member is None or type(document[member]) not in FORMS[member] or not document[member]:
        loaded: tuple[Rows | Columns, str] = checked(_PREDICT, document)
        return loaded
    given, name = _form(member, document[member]), document.get("signature_name", "")
    bare = _is_bare(data)
    array = _rectangle(document[member], bare=bare)
    by_row = member == "instances"
    return given if array is None else Numbers(array, lambda: given, by_row=by_row, complete=bare), name


def _form(member: str, given: Any) -> Rows | Columns:  # noqa: ANN401 (decoded JSON)
    return Rows(given) if member == "instances" else Columns(given)


def _is_bare(data: bytes) -> bool:
    """Tell whether all arrays in a body are one, of nothing but finite numbers: no text, true, false, null or NaN."""
    return not data[data.find(b"[") : data.rfind(b"]") + 1].translate(None, NUMERIC)


def _rectangle(given: Any, *, bare: bool) -> Array | None:  # noqa: ANN401 (decoded JSON)
    """Return lists of numbers as doubles, `[n, k]`; None for anything else."""
    if type(given) is not list or not (bare or _all_numbers(given)):
        return None
    try:
        array = np.array(given, "f8")
    except (ValueError, TypeError, OverflowError):  # ragged, an integer beyond the doubles
        return None
    return array if array.ndim == 2 and array.size else None  # noqa: PLR2004 (rows and columns)


def _all_numbers(rows: list[Any]) -> bool:
    return set(map(type, rows)) == {list} and set(map(type, chain.from_iterable(rows))) <= NUMBERS


class Predict(Envelope):
    """The request: exactly one of `instances` and `inputs`."""

    instances = fields.Raw(metadata={"type": "array", "minItems": 1})
    inputs = fields.Raw(metadata={"type": ["array", "object"]})
    signature_name = fields.String(load_default="", validate=validate.OneOf(
        SIGNATURES, error=f"Expected {SERVING_DEFAULT} or {PROBABILITIES}.",
    ))

    @validates_schema
    def _one_form(self, data: dict[str, Any], **_: object) -> None:
        given = [name for name in FORMS if name in data]
        if len(given) != 1:
            got = "both" if given else "neither"
            msg = f"expected exactly one of 'instances' (rows) and 'inputs' (columns), got {got}"
            raise ValidationError(msg)
        if given == ["instances"] and (type(data["instances"]) is not list or not data["instances"]):
            msg = "expected a non-empty list of rows"
            raise ValidationError(msg, "instances")
        if given == ["inputs"] and not isinstance(data["inputs"], list | dict):
            msg = "expected a list, or an object of columns by name"
            raise ValidationError(msg, "inputs")

    @post_load
    def _values(self, data: dict[str, Any], **_: object) -> tuple[Rows | Columns, str]:
        member = "instances" if "instances" in data else "inputs"
        return _form(member, data[member]), data["signature_name"]


_PREDICT = Predict()
