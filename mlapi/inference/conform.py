"""Inputs of any form made to fit a signature: arrays by name, or every fault that keeps them from it.

Rows count from 0 in messages, as they do in JSON. What leaves this module has one first dimension
for all arrays, the datatypes of the signature and the shapes `[n]` for columns, `[n, k]` for a matrix.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import chain
from typing import Any

import numpy as np

from mlapi.errors import SignatureMismatch
from mlapi.inference.arrays import Where, array_of, cast
from mlapi.inference.faults import Faults, quoted
from mlapi.inference.signature import Signature, TensorSpec
from mlapi.inference.values import Array, Columns, Rows, Tensors

SHOWN = 10


def conform(inputs: Rows | Columns | Tensors, signature: Signature) -> dict[str, Array]:
    """Return the inputs as arrays by input name.

    Raises SignatureMismatch with every fault: unknown or missing columns, ragged or empty batches,
    values of another type, missing values and unseen categories where the signature refuses them.
    """
    faults = Faults(SignatureMismatch)
    if isinstance(inputs, Tensors):
        arrays = _tensors(inputs.arrays, signature, faults)
    elif signature.form == "matrix":
        arrays = _matrix(inputs, signature, faults)
    else:
        arrays = _columns(inputs, signature, faults)
    for spec in signature.inputs:
        if spec.name in arrays:  # also beside faults of other columns, so that all are named together
            _check_values(arrays[spec.name], spec, _places(spec, signature), faults)
    faults.raise_any()
    return arrays


def _tensors(
    given: Mapping[str, Array], signature: Signature, faults: Faults,
) -> dict[str, Array]:
    if not _check_names(given, signature.input_names, "input", faults):
        return {}
    arrays: dict[str, Array] = {}
    for spec in signature.inputs:
        array = given[spec.name]
        if not _shape_fits(array.shape, spec, signature):
            faults.add(
                f"input '{spec.name}' has shape {list(array.shape)}; the signature wants "
                f"{list(spec.shape)}",
            )
            continue
        shape = (-1, spec.width) if signature.form == "matrix" else (-1,)
        flat = cast(array.reshape(-1), spec.datatype, _places(spec, signature), faults)
        if flat is not None:
            arrays[spec.name] = flat.reshape(shape)
    _check_lengths({name: len(array) for name, array in arrays.items()}, faults)
    return arrays


def _shape_fits(shape: tuple[int, ...], spec: TensorSpec, signature: Signature) -> bool:
    if signature.form == "columns" and len(shape) == 1:
        return True
    return len(shape) == len(spec.shape) and shape[1:] == spec.shape[1:]


def _matrix(inputs: Rows | Columns, signature: Signature, faults: Faults) -> dict[str, Array]:
    spec = signature.inputs[0]
    rows = _matrix_rows(inputs, signature, faults)
    if rows is None or not _check_batch(rows, faults):
        return {}
    if spec.width == 1:
        rows = [row if type(row) is list else [row] for row in rows]
    if not _check_widths(rows, spec.width, f"a list of {spec.width} numbers", faults):
        return {}
    flat = list(chain.from_iterable(rows))
    array = array_of(flat, spec.datatype, _places(spec, signature), faults)
    return {} if array is None else {spec.name: array.reshape(-1, spec.width)}


def _matrix_rows(
    inputs: Rows | Columns, signature: Signature, faults: Faults,
) -> list[Any] | None:
    values = inputs.values
    if isinstance(values, dict):
        return _matrix_from_object(values, signature, faults)
    if isinstance(inputs, Rows) and _objects(values, faults):
        return _matrix_from_objects(values, signature, faults)
    return None if faults else values


def _matrix_from_object(
    values: dict[str, Any], signature: Signature, faults: Faults,
) -> list[Any] | None:
    """An object is the one tensor by its name, or columns by the names of the features."""
    name = signature.inputs[0].name
    if signature.features and name not in values:
        columns = _named_columns(values, signature.features, faults)
        return None if columns is None else _transposed(columns)
    if not _check_names(values, (name,), "input", faults):
        return None
    if type(values[name]) is not list:
        faults.add(f"input '{name}': expected a list of rows")
        return None
    rows: list[Any] = values[name]
    return rows


def _matrix_from_objects(
    rows: list[dict[str, Any]], signature: Signature, faults: Faults,
) -> list[Any] | None:
    """Objects are rows by the name of the one tensor, or by the names of the features."""
    name = signature.inputs[0].name
    by_tensor = not signature.features or all(name in row for row in rows)
    columns = _row_columns(rows, (name,) if by_tensor else signature.features, faults)
    if columns is None:
        return None
    return columns[0] if by_tensor else _transposed(columns)


def _transposed(columns: list[list[Any]]) -> list[Any]:
    return [list(row) for row in zip(*columns, strict=True)]


def _columns(inputs: Rows | Columns, signature: Signature, faults: Faults) -> dict[str, Array]:
    lists = _column_lists(inputs, signature, faults)
    arrays: dict[str, Array] = {}
    if lists is None:
        return arrays
    for spec, values in zip(signature.inputs, lists, strict=True):
        flat = _unwrap(values, by_row=isinstance(inputs, Rows))
        array = array_of(flat, spec.datatype, _places(spec, signature), faults)
        if array is not None:
            arrays[spec.name] = array
    return arrays


def _column_lists(
    inputs: Rows | Columns, signature: Signature, faults: Faults,
) -> Sequence[list[Any]] | None:
    values, names = inputs.values, signature.input_names
    if isinstance(values, dict):
        return _named_columns(values, names, faults)
    if isinstance(inputs, Columns):
        if len(names) > 1:
            faults.add(f"expected an object with the columns {_listed(names)}, got a list")
            return None
        return [values] if _check_batch(values, faults) else None
    if not _check_batch(values, faults):
        return None
    if _objects(values, faults):
        return _row_columns(values, names, faults)
    return None if faults else _plain_columns(values, names, faults)


def _plain_columns(
    rows: list[Any], names: Sequence[str], faults: Faults,
) -> Sequence[list[Any]] | None:
    if len(names) == 1:
        return [rows]
    wanted = f"an object by name or a list of {len(names)} values: {_listed(names)}"
    if not _check_widths(rows, len(names), wanted, faults):
        return None
    return [list(column) for column in zip(*rows, strict=True)]


def _check_widths(rows: list[Any], width: int, wanted: str, faults: Faults) -> bool:
    bad = [i for i, row in enumerate(rows) if type(row) is not list or len(row) != width]

    def sentence(i: int) -> str:
        got = f"{len(rows[i])} values" if type(rows[i]) is list else "no list"
        return f"row {i} has {got}; expected {wanted}"

    faults.each(bad, sentence)
    return not bad


def _objects(rows: list[Any], faults: Faults) -> bool:
    kinds = set(map(type, rows))
    if dict in kinds and len(kinds) > 1:
        faults.add("the rows mix objects with lists or plain values; expected all of one form")
        return False
    return kinds == {dict}


def _row_columns(
    rows: list[dict[str, Any]], names: Sequence[str], faults: Faults,
) -> list[list[Any]] | None:
    keys = set(names)
    for i, row in enumerate(rows):
        if row.keys() == keys:
            continue
        if faults.full:  # a count that costs what the row weighs, however many columns it lacks
            faults.count(len(keys) + len(row) - 2 * len(keys & row.keys()))
        else:
            _check_names(row, names, "column", faults, f"row {i}: ")
    return None if faults else [[row[name] for row in rows] for name in names]


def _named_columns(
    columns: dict[str, Any], names: Sequence[str], faults: Faults,
) -> list[list[Any]] | None:
    if not _check_names(columns, names, "column", faults):
        return None
    for name in names:
        if type(columns[name]) is not list:
            faults.add(f"column '{name}': expected a list with one value a row")
    if not faults:
        _check_lengths({name: len(columns[name]) for name in names}, faults)
    return None if faults else [columns[name] for name in names]


def _unwrap(values: list[Any], *, by_row: bool) -> list[Any]:
    """Return a column without lists of one: a whole `[n, 1]` tensor, or row by row as each row has it."""
    kinds = set(map(type, values))
    if list not in kinds:
        return values
    if by_row or (kinds == {list} and set(map(len, values)) == {1}):
        return [value[0] if type(value) is list and len(value) == 1 else value for value in values]
    return values


def _check_batch(rows: list[Any], faults: Faults) -> bool:
    if not rows:
        faults.add("the batch is empty; expected at least one row")
    return bool(rows)


def _check_lengths(lengths: Mapping[str, int], faults: Faults) -> None:
    sizes = set(lengths.values())
    if len(sizes) > 1:
        shown = ", ".join(f"'{name}' {size}" for name, size in list(lengths.items())[:SHOWN])
        faults.add(f"the columns differ in length: {shown}; expected one value a row in each")
    elif sizes == {0}:
        faults.add("the batch is empty; expected at least one row")


def _check_names(
    given: Mapping[str, Any], names: Sequence[str], noun: str, faults: Faults, place: str = "",
) -> bool:
    known = set(names)
    unknown = [name for name in given if name not in known]
    missing = [name for name in names if name not in given]

    def sentence(name: str) -> str:
        near = get_close_matches(name, missing or names, n=1) if len(name) <= len(max(names, key=len)) * 2 else []
        hint = f"did you mean '{near[0]}'?" if near else f"the {noun}s are {_listed(names)}"
        return f"{place}{noun} {quoted(name)} is unknown; {hint}"

    faults.each(unknown, sentence)
    faults.each(missing, lambda name: f"{place}{noun} '{name}' is missing")
    return not (unknown or missing)


def _check_values(array: Array, spec: TensorSpec, where: Where, faults: Faults) -> None:
    missing: list[int] = []
    if array.dtype.kind == "f" and not spec.nullable:
        missing = np.flatnonzero(np.isnan(array)).tolist()
    elif array.dtype == object and not spec.nullable:
        missing = [i for i, value in enumerate(array.reshape(-1)) if value is None]
    faults.each(missing, lambda i: f"{where(i)}: is missing, and this model takes no missing value there")
    if array.dtype == object and spec.unseen == "refuse" and spec.categories:
        known = set(spec.categories)
        strange = [i for i, value in enumerate(array.reshape(-1)) if value is not None and value not in known]
        faults.each(strange, lambda i: f"{where(i)}: is a category the model has never seen; "
                                       f"expected one of {_listed(sorted(known))}")  # fmt: skip


def _places(spec: TensorSpec, signature: Signature) -> Where:
    """Return how messages name value i of this tensor (-1: the tensor itself)."""
    if signature.form == "columns":
        return lambda i: f"row {i}, column '{spec.name}'" if i >= 0 else f"column '{spec.name}'"
    names = signature.features or tuple(str(j) for j in range(spec.width))

    def place(i: int) -> str:
        row, column = divmod(i, spec.width)
        return f"row {row}, column '{names[column]}'" if i >= 0 else f"input '{spec.name}'"

    return place


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
