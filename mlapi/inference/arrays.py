"""Decoded JSON values to numpy arrays, whole lists at a time, by the datatype rules of the contract.

The kinds of a list are looked at as a set; only a list with a misfit is walked, to name the misfit.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlapi.inference.faults import Faults
from mlapi.inference.signature import NUMPY_TYPES, wanted
from mlapi.inference.values import Array

Where = Callable[[int], str]

LARGEST_DOUBLE = int(np.finfo("f8").max)

_FLOATS = {"FP16", "FP32", "FP64"}
_KINDS: dict[str, set[type]] = {"BYTES": {str}, "BOOL": {bool}}
_NUMBERS: set[type] = {int, float}
_STRAIGHT: dict[str, set[type]] = {"FP64": {int, float}, "INT64": {int}, "BOOL": {bool}, "BYTES": {str}}
_DTYPES = {datatype: np.dtype(name) for datatype, name in NUMPY_TYPES.items()}
_GOT = {str: "text", bool: "true or false", type(None): "null", dict: "an object", list: "a list",
        int: "a number", float: "a number"}  # fmt: skip


def array_of(
    values: list[Any], datatype: str, where: Where, faults: Faults, *, null: bool = False,
) -> Array | None:
    """Return a flat array of `datatype` from decoded values, or None after noting their faults.

    `null` reads null as NaN, for floating datatypes only. `where(i)` names the place of value i.
    """
    kinds = set(map(type, values))
    if null and datatype in _FLOATS:
        kinds.discard(type(None))
    if not kinds <= _KINDS.get(datatype, _NUMBERS) and not _bits(values, kinds, datatype):
        _misfits(values, datatype, where, faults, null=null)
        return None
    if datatype == "BYTES":
        return _objects(values)
    if datatype in _FLOATS or datatype == "BOOL":
        return _floats(values, datatype, where, faults)
    return _integers(values, datatype, where, faults)


def straight(values: Sequence[Any], datatype: str) -> Array | None:
    """Return what `array_of` does where all values are of the one kind that needs no more than that, else None."""
    if datatype not in _STRAIGHT or not _STRAIGHT[datatype].issuperset(map(type, values)):
        return None
    if datatype == "BYTES":
        return _objects(values)
    try:
        return np.array(values, _DTYPES[datatype])
    except OverflowError:  # an integer beyond the datatype
        return None


def cast(array: Array, datatype: str, where: Where, faults: Faults) -> Array | None:
    """Return `array` in `datatype` where that keeps every value, or None after noting the faults.

    Numbers may change between numeric datatypes: to a floating one always, to an integer one if they
    are whole and in range. Text never becomes a number, nor a number text.
    """
    wire, model = array.dtype, np.dtype(NUMPY_TYPES[datatype])
    if wire == model:
        return array
    if (wire == object) != (model == object):
        got = "text" if wire == object else "numbers"
        faults.add(f"{where(-1)} holds {got}; expected {wanted(datatype)}")
        return None
    if model.kind == "b" or wire.kind == "b":
        return _cast_bits(array, model, where, faults)
    if model.kind == "f":
        with np.errstate(over="ignore"):
            narrow = array.astype(model)
        return _unless(np.isinf(narrow) & ~np.isinf(array.astype("f8")), narrow, datatype, where, faults)
    return _whole(array, datatype, where, faults)


def _bits(values: list[Any], kinds: set[type], datatype: str) -> bool:
    return datatype == "BOOL" and kinds <= {bool, int} and set(values) <= {0, 1}


def _objects(values: Sequence[Any]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _floats(values: list[Any], datatype: str, where: Where, faults: Faults) -> Array | None:
    try:
        array = np.array(values, dtype=NUMPY_TYPES["BOOL" if datatype == "BOOL" else "FP64"])
    except OverflowError:  # an integer beyond the doubles
        bad = [i for i, value in enumerate(values) if isinstance(value, int) and abs(value) > LARGEST_DOUBLE]
        faults.each(bad, lambda i: f"{where(i)}: expected {_range(datatype)}")
        return None
    return array if datatype == "BOOL" else cast(array, datatype, where, faults)


def _integers(values: list[Any], datatype: str, where: Where, faults: Faults) -> Array | None:
    if set(map(type, values)) == {int}:
        try:
            return cast(np.array(values, "<u8" if datatype == "UINT64" else "<i8"), datatype, where, faults)
        except OverflowError:  # one of them fits no machine integer: the walk below names it
            pass
    limits = np.iinfo(NUMPY_TYPES[datatype])
    bad = [
        i for i, value in enumerate(values)
        if value != value or value in (float("inf"), float("-inf"))  # noqa: PLR0124 (NaN)
        or int(value) != value or not limits.min <= value <= limits.max
        or (type(value) is float and value == -(2.0**63))  # orjson's for any integer that rounds to it
    ]  # fmt: skip
    if bad:
        faults.each(bad, lambda i: f"{where(i)}: expected {_range(datatype)}")
        return None
    return np.array([int(value) for value in values], dtype=NUMPY_TYPES[datatype])


def _cast_bits(array: Array, model: np.dtype[Any], where: Where, faults: Faults) -> Array | None:
    if model.kind != "b":
        return array.astype(model)
    return _unless((array != 0) & (array != 1), array.astype(model), "BOOL", where, faults)


def _whole(array: Array, datatype: str, where: Where, faults: Faults) -> Array | None:
    limits = np.iinfo(NUMPY_TYPES[datatype])
    if array.dtype.kind == "f":
        double = array.astype("f8")
        bad = ~(np.isfinite(double) & (np.floor(double) == double))
        # the bound above is exact in doubles, while the largest INT64 is not: it would round up to it
        bad |= (double < float(limits.min)) | (double >= 2.0 ** (limits.bits - (limits.min < 0)))
    else:
        bad = (array < int(limits.min)) | (array > int(limits.max))  # exact, whatever fits the array's own type
    safe = np.where(bad, 0, array).astype(NUMPY_TYPES[datatype])
    return _unless(bad, safe, datatype, where, faults)


def _unless(bad: Array, array: Array, datatype: str, where: Where, faults: Faults) -> Array | None:
    if not bad.any():
        return array
    words = "true or false" if datatype == "BOOL" else _range(datatype)
    faults.each(np.flatnonzero(bad).tolist(), lambda i: f"{where(i)}: expected {words}")
    return None


def _range(datatype: str) -> str:
    if datatype in _FLOATS:
        return f"a number that fits {datatype}"
    limits = np.iinfo(NUMPY_TYPES[datatype])
    return f"an integer from {limits.min} to {limits.max}"


def _misfits(values: list[Any], datatype: str, where: Where, faults: Faults, *, null: bool) -> None:
    fine = _KINDS.get(datatype, _NUMBERS) | ({type(None)} if null and datatype in _FLOATS else set())
    bits = {int} if datatype == "BOOL" else set()
    bad = [i for i, value in enumerate(values)
           if type(value) not in fine and not (type(value) in bits and value in (0, 1))]  # fmt: skip
    faults.each(
        bad, lambda i: f"{where(i)}: expected {wanted(datatype)}, got {_GOT.get(type(values[i]), 'something else')}",
    )
