"""Predicts of one row of numbers, many read as one request and answered apart.

A body is cut into its one row and the frame around it.
"""

from collections.abc import Sequence

from mlapi.inference.values import Columns, InferenceRequest, InferenceResponse, Numbers, Rows, Target
from mlapi.schemas import rows
from mlapi.schemas.v1 import frames, predict
from mlapi.schemas.v1.frames import Frame


def cut(body: bytes) -> tuple[Frame, bytes] | None:
    """Return the frame of a body and its one row of numbers; None for any other body."""
    found = frames.around(body) if len(body) <= rows.LONGEST else None
    if found is None:
        return None
    frame, begin, end = found
    numbers = rows.cut(body, begin + 2, end - 2)
    return None if numbers is None else (frame, numbers)


def gather(target: Target, frame: Frame, numbers: Sequence[bytes]) -> InferenceRequest | None:
    """Return the request of all rows; None where they are not rows of one length."""
    array = rows.read(numbers)
    if array is None:
        return None
    form = Rows if frame.member == "instances" else Columns
    inputs = Numbers(array, lambda: form(array.tolist()), by_row=form is Rows, complete=True)
    return InferenceRequest(target, inputs, predict.outputs_of(frame.signature))


def scatter(response: InferenceResponse, request: InferenceRequest) -> list[bytes] | None:
    """Return the body of an answer to each row, as `predict.dump` writes it; None for texts and what is not finite."""
    member = predict.member_of(request)
    ((_, answer),) = response.outputs.items()
    if answer.dtype.kind not in "fiu" or answer.itemsize != rows.EXACT:
        return None
    text = rows.text(answer)
    if b"null" in text:
        return None
    before, after = (b"[", b"]}") if answer.shape[1] == 1 else (b"[[", b"]]}")
    opening = b'{"%b":%b' % (member.encode(), before)
    return [b"%b%b%b" % (opening, row, after) for row in rows.apart(text)]
