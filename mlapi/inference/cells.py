"""Cells of a text table as JSON would have them, by the datatype of their column."""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

WHOLE = re.compile(r"[+-]?[0-9]{1,300}", re.ASCII)
BEYOND = 10**309
"""Beyond the doubles; stands for a number that is, so that its range is what the caller reads about."""

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


_READ: dict[str, Callable[[str], object]] = {"BOOL": _bit, "FP16": _number, "FP32": _number, "FP64": _number}
