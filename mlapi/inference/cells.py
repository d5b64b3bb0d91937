"""Cells of a text table as JSON would have them, by the datatype of their column."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from mlapi.inference import numbertext
from mlapi.inference.arrays import straight
from mlapi.inference.values import Array

WHOLE = re.compile(r"[+-]?[0-9]{1,300}", re.ASCII)
BEYOND = 10**309
"""Beyond the doubles; stands for a number that is, so that its range is what the caller reads about."""

MANY = 64
"""Cells from which on it pays to write them as JSON first."""

BITS = {"true": True, "false": False, "1": True, "0": False}


def decoded(cells: Iterable[str], datatype: str) -> list[Any]:
    """Return the cells of a column as numbers, true/false or texts; an empty one is None.

    Spaces around numbers and true/false do not count. A cell that does not convert stays the text it is, for the
    datatype's own rules to refuse.
    """
    if datatype == "BYTES":
        return [cell or None for cell in cells]
    read = _READ.get(datatype, _whole)
    return [read(cell) for cell in cells]


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


def _whole(cell: str) -> object:
    text = cell.strip()
    return int(text) if WHOLE.fullmatch(text) else _number(cell)  # exact, where a float would round from 2^53 on


def _number(cell: str) -> object:
    text = cell.strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return cell
    if "_" in text or not text.isascii():  # Python's own notation
        return cell
    return BEYOND if math.isinf(number) and text[-1].isdigit() else number


def _bit(cell: str) -> object:
    text = cell.strip().lower()
    return BITS.get(text, cell) if text else None


_MINUS_ZERO = re.compile(r"-0\s*(?:,|$)")
_PYTHON: dict[str, type[int] | type[float]] = {"FP64": float, "INT64": int}
_DTYPES = {"FP64": np.dtype("<f8"), "INT64": np.dtype("<i8")}
_READ: dict[str, Callable[[str], object]] = {"BOOL": _bit, "FP16": _number, "FP32": _number, "FP64": _number}
