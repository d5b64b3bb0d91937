"""Inputs that fit a signature as they stand: arrays by name at once, by whole columns, without words for faults.

None is no verdict. It leaves the inputs to `conform`, which casts what may be cast and names what is wrong; what is
returned here is what it would have returned.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from mlapi.inference.arrays import straight
from mlapi.inference.signature import Signature, TensorSpec
from mlapi.inference.values import Array, Columns, Inputs, Numbers, Rows, Tensors

DOUBLE = np.dtype("f8")


def fitting(inputs: Inputs, signature: Signature) -> dict[str, Array] | None:
    """Return the inputs as arrays by input name where they fit as they stand, else None."""
    if type(inputs) is Tensors:
        return _tensors(inputs.arrays, signature)
    if type(inputs) is Numbers:
        return _numbers(inputs.array, signature, complete=inputs.complete)
    if type(inputs) is Rows:
        return _rows(inputs.values, signature)
    if type(inputs) is Columns and type(inputs.values) is dict:
        return _columns(inputs.values, signature)
    return None


def refused(array: Array, spec: TensorSpec) -> bool:
    """Tell whether a value of its datatype is one that the signature refuses: missing, or no category."""
    if not spec.picky:
        return False
    if spec.dtype.kind == "f":
        return bool(np.count_nonzero(np.isnan(array)))
    texts = array.reshape(-1).tolist()
    return None in texts if spec.only is None else not spec.only.issuperset(texts)


def _numbers(array: Array, signature: Signature, *, complete: bool) -> dict[str, Array] | None:
    spec = signature.inputs[0]
    if signature.form != "matrix" or array.shape[1] != spec.width or spec.dtype != DOUBLE:
        return None
    return None if not complete and refused(array, spec) else {spec.name: array}


def _tensors(given: Mapping[str, Array], signature: Signature) -> dict[str, Array] | None:
    if len(given) != len(signature.inputs):
        return None
    arrays: dict[str, Array] = {}
    rows = next(iter(given.values())).shape[:1]
    for spec in signature.inputs:
        array = given.get(spec.name)
        if array is None or array.dtype != spec.dtype or array.shape[:1] != rows or refused(array, spec):
            return None
        if signature.form == "matrix":
            fits = array.ndim == 2 and array.shape[1] == spec.width  # noqa: PLR2004 (rows and columns)
        else:
            fits = array.ndim == 1 or array.shape[1:] == (1,)
        if not fits:
            return None
        arrays[spec.name] = array if signature.form == "matrix" else array.reshape(-1)
    return arrays if rows[0] else None


def _rows(rows: list[Any], signature: Signature) -> dict[str, Array] | None:
    kinds = set(map(type, rows))
    if kinds == {dict}:
        columns = _by_name(rows, signature)
        return None if columns is None else _arrays(columns, signature)
    width = len(signature.inputs) if signature.form == "columns" else signature.inputs[0].width
    if kinds != {list} or set(map(len, rows)) != {width}:
        return None
    if signature.form == "matrix":
        return _matrix(rows, signature)
    return _arrays(list(zip(*rows, strict=True)), signature)


def _by_name(rows: list[dict[str, Any]], signature: Signature) -> Sequence[Sequence[Any]] | None:
    names = signature.columns
    if not names or set(map(len, rows)) != {len(names)}:
        return None
    try:
        picked = list(map(itemgetter(*names), rows))
    except KeyError:
        return None
    return list(zip(*picked, strict=True)) if len(names) > 1 else [picked]


def _columns(columns: Mapping[str, Any], signature: Signature) -> dict[str, Array] | None:
    lists: list[Any] = [columns.get(name) for name in signature.columns]
    if len(columns) != len(lists) or set(map(type, lists)) != {list} or len(set(map(len, lists))) != 1:
        return None
    return _arrays(lists, signature)


def _arrays(columns: Sequence[Sequence[Any]], signature: Signature) -> dict[str, Array] | None:
    """Return decoded columns, of one length and in the order of the signature, as its arrays."""
    if not columns or not columns[0]:
        return None
    if signature.form == "matrix":
        return _matrix(list(zip(*columns, strict=True)), signature)
    arrays: dict[str, Array] = {}
    for spec, values in zip(signature.inputs, columns, strict=True):
        array = _array(values, spec)
        if array is None:
            return None
        arrays[spec.name] = array
    return arrays


def _matrix(rows: Sequence[Sequence[Any]], signature: Signature) -> dict[str, Array] | None:
    spec = signature.inputs[0]
    array = _array(list(chain.from_iterable(rows)), spec)
    return None if array is None else {spec.name: array.reshape(len(rows), spec.width)}


def _array(values: Sequence[Any], spec: TensorSpec) -> Array | None:
    array = straight(values, spec.datatype)
    return None if array is None or refused(array, spec) else array
