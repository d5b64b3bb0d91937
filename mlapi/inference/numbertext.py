"""A JSON list of numbers, straight into a buffer: simdjson, without a Python number for each."""

from typing import Any

import numpy as np
import simdjson

from mlapi.inference.values import Array

KEPT = 2**23
"""Bytes of text up to which a parser is kept for the next one; it holds a multiple of what it read."""

_OPENING = ord("[")

DTYPES = {"d": "<f8", "i": "<i8", "u": "<u8"}
"""What simdjson calls a buffer's numbers, to numpy's dtype; it refuses what does not fit the integers exactly."""

_spare: list[simdjson.Parser] = []


def numbers(text: str | bytes | memoryview, lists: int, kind: str) -> Array | None:
    """Return a flat list of numbers as `[n]`, a list of lists of one length as `[n, k]`; anything else is None.

    `lists` is how many opening brackets stand in `text` after the first, which holds no text and no object; `kind` is
    one of DTYPES. Doubles are the nearest ones, as everywhere.
    """
    try:
        parser = _spare.pop()
    except IndexError:
        parser = simdjson.Parser()
    try:
        return _read(parser, text, lists, kind)
    except (ValueError, TypeError, RuntimeError):  # simdjson's, for what is no JSON or no number of this kind
        return None
    finally:
        if not _spare and len(text) <= KEPT:
            _spare.append(parser)


def lists_in(text: memoryview) -> int:
    """Return how many opening brackets stand in `text`; bytes are counted a few times faster so than by `count`."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == _OPENING))


def _read(parser: simdjson.Parser, text: str | bytes | memoryview, lists: int, kind: str) -> Array | None:
    array: Any = parser.parse(text)
    rows = len(array)
    # a buffer is flat whatever it was: each row has its length, and no row has a list in it
    lengths = set(map(len, array)) if lists else {1}
    if len(lengths) != 1 or lists not in {0, rows}:
        return None
    flat: Array = np.frombuffer(array.as_buffer(of_type=kind), DTYPES[kind])
    if len(flat) == 0:
        return None
    return flat.reshape(rows, -1) if lists else flat
