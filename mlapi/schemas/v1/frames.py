"""What stands around the rows of a predict: which member they are, and which signature is asked for.

The frames of a client are few and short. What one means is asked of the ordinary way once, and remembered.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from mlapi.errors import InvalidRequest
from mlapi.schemas.v1 import values

SERVING_DEFAULT = "serving_default"
PROBABILITIES = "predict_proba"
SIGNATURES = ("", SERVING_DEFAULT, PROBABILITIES)
FORMS: dict[str, set[type]] = {"instances": {list}, "inputs": {list, dict}}

OPENING, CLOSING = b"[[", b"]]"
MOST = 1024
LONGEST = 256
"""Bytes; what is remembered must have an end."""

_TRIED: tuple[tuple[bytes, list[list[int]]], ...] = ((b"[[0]]", [[0]]), (b"[[1,2]]", [[1, 2]]))


class Frame(NamedTuple):
    """What a body says beside its rows: the member that they are, and `signature_name`."""

    member: str
    signature: str


def plain(document: dict[str, Any]) -> str | None:
    """Return which of the two forms a document has that marshmallow would find nothing to say of, else None."""
    given = [name for name in FORMS if name in document]
    return given[0] if len(given) == 1 and document.get("signature_name", "") in SIGNATURES else None


def around(body: bytes) -> tuple[Frame, int, int] | None:
    """Return the frame of a body and where its rows begin and end, their outermost brackets included.

    None where there is none that is in order: the ordinary way knows. What is between the two places is not looked at.
    """
    begin, end = body.find(OPENING), body.rfind(CLOSING) + len(CLOSING)
    if not 0 <= begin < end - len(CLOSING) or begin + len(body) - end > LONGEST:
        return None
    frame = _frame(body[:begin], body[end:])
    return None if frame is None else (frame, begin, end)


@lru_cache(MOST)
def _frame(before: bytes, after: bytes) -> Frame | None:
    """Return the frame of rows between two texts.

    Two lists of rows are tried: what answers for neither was sought in the wrong place, such as within a text.
    """
    found: set[Frame | None] = set()
    for tried, rows in _TRIED:
        try:
            document = values.decode(before + tried + after)
        except InvalidRequest:
            return None
        member = plain(document)
        there = member is not None and document[member] == rows
        found.add(Frame(member, document.get("signature_name", "")) if member is not None and there else None)
    return found.pop() if len(found) == 1 else None
