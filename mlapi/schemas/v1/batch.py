"""Predicts of one row of numbers, many read as one request and answered apart.

A body is cut into its one row and the frame around it. What the frame means is asked of the ordinary way once, and
remembered: it is a frame if a row in it is found where a predict has its rows, whatever the row.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mlapi.errors import InvalidRequest
from mlapi.inference.values import Columns, InferenceRequest, InferenceResponse, Numbers, Rows, Target
from mlapi.schemas import rows
from mlapi.schemas.v1 import predict, values

MOST_FRAMES = 1024
LONGEST_FRAME = 256
"""Bytes; the frames of a client are short and few, and what is remembered must have an end."""

_TRIED = (b"[[0]]", b"[[1,2]]")


class Frame(NamedTuple):
    """What a body says beside its row: under which member that stands, and which outputs are asked for."""

    member: str
    outputs: tuple[str, ...]


def cut(body: bytes) -> tuple[Frame, bytes] | None:
    """Return the frame of a body and its one row of numbers; None for any other body."""
    begin, end = body.find(b"[["), body.rfind(b"]]")
    numbers = rows.cut(body, begin + 2, end) if begin >= 0 else None
    if numbers is None or begin + len(body) - end > LONGEST_FRAME:
        return None
    frame = _frame(body[:begin], body[end + 2 :])
    return None if frame is None else (frame, numbers)


def gather(target: Target, frame: Frame, numbers: Sequence[bytes]) -> InferenceRequest | None:
    """Return the request of all rows; None where they are not rows of one length."""
    array = rows.read(numbers)
    if array is None:
        return None
    form = Rows if frame.member == "instances" else Columns
    inputs = Numbers(array, lambda: form(array.tolist()), by_row=form is Rows, complete=True)
    return InferenceRequest(target, inputs, frame.outputs)


def scatter(response: InferenceResponse, request: InferenceRequest) -> list[bytes] | None:
    """Return the body of an answer to each row, as `predict.dump` writes it; None for texts and what is not finite."""
    member = predict.member_of(request)
    ((_, answer),) = response.outputs.items()
    if answer.dtype.kind not in "fiu" or answer.itemsize != rows.EXACT or not np.isfinite(answer).all():
        return None
    before, after = (b"[", b"]}") if answer.shape[1] == 1 else (b"[[", b"]]}")
    opening = b'{"%b":%b' % (member.encode(), before)
    return [b"%b%b%b" % (opening, row, after) for row in rows.written(answer)]


@lru_cache(MOST_FRAMES)
def _frame(before: bytes, after: bytes) -> Frame | None:
    """Return what stands around a row, None where that is no predict in order.

    Two rows are tried: what answers for neither was sought in the wrong place, such as within a text.
    """
    found: set[Frame | None] = set()
    for tried in _TRIED:
        try:
            document = values.decode(before + tried + after)
        except InvalidRequest:
            return None
        member = predict.plain(document)
        there = member is not None and document[member] == values.decode(b'{"row":%b}' % tried)["row"]
        found.add(Frame(member, predict.outputs_of(document)) if member is not None and there else None)
    return found.pop() if len(found) == 1 else None
