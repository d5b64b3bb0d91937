"""Columns of a text table, whole: the readings of `cells` without a look at each cell, where none of them is odd."""

import re
from collections.abc import Sequence

import numpy as np

from mlapi.inference import numbertext
from mlapi.inference.arrays import straight
from mlapi.inference.values import Array

MANY = 64
"""Cells from which on it pays to write them as JSON first."""

_MINUS_ZERO = re.compile(r"-0\s*(?:,|$)")
_PYTHON: dict[str, type[int] | type[float]] = {"FP64": float, "INT64": int}
_DTYPES = {"FP64": np.dtype("<f8"), "INT64": np.dtype("<i8")}


def whole_column(cells: Sequence[str], datatype: str) -> Array | None:
    """Return a column whose cells all are, in ASCII, what its datatype wants and none of them odd; else None."""
    if datatype == "BYTES":
        return None if "" in cells else straight(cells, datatype)
    if datatype not in _PYTHON:
        return None
    array = _as_json(cells, datatype) if len(cells) >= MANY else None
    return _as_python(cells, datatype) if array is None else array


def _as_json(cells: Sequence[str], datatype: str) -> Array | None:
    """Most numbers are written as JSON has them, which is read in a fifth of the time."""
    text = ",".join(cells)
    if "[" in text or _MINUS_ZERO.search(text):  # which is an integer there, without a sign
        return None
    array = numbertext.numbers(f"[{text}]", 0, "d" if datatype == "FP64" else "i")
    return array if array is not None and len(array) == len(cells) else None


def _as_python(cells: Sequence[str], datatype: str) -> Array | None:
    filled = [cell or "nan" for cell in cells] if datatype == "FP64" else cells
    try:
        array = np.fromiter(map(_PYTHON[datatype], filled), _DTYPES[datatype], len(cells))
    except (ValueError, OverflowError):
        return None
    text = "".join(cells)
    if "_" in text or not text.isascii() or (datatype == "FP64" and np.isinf(array).any()):  # see _number
        return None
    return array
