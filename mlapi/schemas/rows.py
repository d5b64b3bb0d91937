"""Rows of numbers: those of many bodies read at once, and an answer for many written at once.

What stands between the brackets of a row is taken as it came and read by a JSON reader, as large arrays are, so that a
number means here what it means there.
"""

from collections.abc import Sequence

import numpy as np

from mlapi.inference import numbertext
from mlapi.inference.values import Array
from mlapi.schemas import jsonbody

NUMERIC = b"0123456789+-.eE, \t\r\n"
"""What numbers in a row are written with (RFC 8259, section 6), and what stands between them."""

LONGEST = 16 * 1024
"""Bytes of a body; of a longer one the reading itself is what takes the time."""

EXACT = 8
"""Bytes of a number that orjson writes alike as an array and as a list."""


def cut(body: bytes, begin: int, end: int) -> bytes | None:
    """Return the bytes from `begin` to `end` where there is a row of numbers, without brackets, and nothing else."""
    if not 0 < begin < end or len(body) > LONGEST:
        return None
    numbers = body[begin:end]
    return None if numbers.translate(None, NUMERIC) else numbers


def read(numbers: Sequence[bytes]) -> Array | None:
    """Return rows as doubles, `[n, k]`; None where one of them is no row of JSON numbers, or of another length."""
    return numbertext.numbers(b"[[%b]]" % b"],[".join(numbers), len(numbers), "d")


def text(array: Array) -> bytes:
    """Return rows of numbers `[n, k]` as JSON; what is not finite is null."""
    return jsonbody.encode(np.ascontiguousarray(array))


def apart(rows: bytes) -> list[bytes]:
    """Return each row of such a text, without its brackets."""
    return rows[2:-2].split(b"],[")
