"""Inputs of any form made to fit a signature: arrays by name, or every fault that keeps them from it.

Rows count from 0 in messages, as they do in JSON. What leaves this module has one first dimension
for all arrays, the datatypes of the signature and the shapes `[n]` for columns, `[n, k]` for a matrix.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from mlapi.errors import SignatureMismatch
from mlapi.inference import tensorbytes
from mlapi.inference.arrays import Where, array_of, cast
from mlapi.inference.checks import check_batch, check_lengths, check_names, listed, places
from mlapi.inference.faults import Faults
from mlapi.inference.fitting import fitting, refused
from mlapi.inference.signature import Signature, TensorSpec
from mlapi.inference.table import table_arrays
from mlapi.inference.values import Array, Columns, Inputs, LoneArray, Numbers, RawTensor, Rows, Table, Tensors


def conform(inputs: Inputs, signature: Signature) -> dict[str, Array]:
    """Return the inputs as arrays by input name.

    Raises SignatureMismatch with every fault: unknown or missing columns, ragged or empty batches,
    values of another type, missing values and unseen categories where the signature refuses them.
    """
    arrays = fitting(inputs, signature)
    return _conformed(inputs, signature) if arrays is None else arrays


def _conformed(inputs: Inputs, signature: Signature) -> dict[str, Array]:
    """Return what `conform` does, the long way round: for inputs that must be cast, or refused in words."""
    faults = Faults(SignatureMismatch)
    if isinstance(inputs, Numbers):
        inputs = inputs.decoded()
    if isinstance(inputs, RawTensor):
        arrays = _raw(inputs.data, signature, faults)
    elif isinstance(inputs, Tensors):
        arrays = _tensors(inputs.arrays, signature, faults)
    elif isinstance(inputs, LoneArray):
        arrays = _lone(inputs.array, signature, faults)
    elif isinstance(inputs, Table):
        arrays = table_arrays(inputs, signature, faults)
    elif signature.form == "matrix":
        arrays = _matrix(inputs, signature, faults)
    else:
        arrays = _columns(inputs, signature, faults)
    for spec in signature.inputs:
        if spec.name in arrays:  # also beside faults of other columns, so that all are named together
            _check_values(arrays[spec.name], spec, places(spec, signature), faults)
    faults.raise_any()
    return arrays


def _lone(array: Array, signature: Signature, faults: Faults) -> dict[str, Array]:
    if not _takes_one("an array without names", signature, faults):
        return {}
    spec = signature.inputs[0]
    if signature.form == "matrix" and array.ndim == 1 and spec.width == 1:
        array = array.reshape(-1, 1)
    if array.dtype.kind == "b" and spec.datatype == "BYTES":  # cast knows what text is, and is not
        array = array.astype("u1")
    return _tensors({spec.name: array}, signature, faults)


def _takes_one(form: str, signature: Signature, faults: Faults) -> bool:
    if len(signature.inputs) > 1:
        faults.add(f"{form} is for models of one input; this one takes {listed(signature.input_names)}")
    return not faults


def _raw(data: bytes, signature: Signature, faults: Faults) -> dict[str, Array]:
    if not _takes_one("a raw request", signature, faults):
        return {}
    spec = signature.inputs[0]
    array = tensorbytes.decode(data, spec.datatype, [1, spec.width], f"'{spec.name}'", faults)
    return {} if array is None else _tensors({spec.name: array}, signature, faults)


def _tensors(
    given: Mapping[str, Array], signature: Signature, faults: Faults,
) -> dict[str, Array]:
    if not check_names(given, signature.input_names, "input", faults):
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
        flat = cast(array.reshape(-1), spec.datatype, places(spec, signature), faults)
        if flat is not None:
            arrays[spec.name] = flat.reshape(shape)
    check_lengths({name: len(array) for name, array in arrays.items()}, faults)
    return arrays


def _shape_fits(shape: tuple[int, ...], spec: TensorSpec, signature: Signature) -> bool:
    if signature.form == "columns" and len(shape) == 1:
        return True
    return len(shape) == len(spec.shape) and shape[1:] == spec.shape[1:]


def _matrix(inputs: Rows | Columns, signature: Signature, faults: Faults) -> dict[str, Array]:
    spec = signature.inputs[0]
    rows = _matrix_rows(inputs, signature, faults)
    if rows is None or not check_batch(rows, faults):
        return {}
    if spec.width == 1:
        rows = [row if type(row) is list else [row] for row in rows]
    if not _check_widths(rows, spec.width, f"a list of {spec.width} numbers", faults):
        return {}
    flat = list(chain.from_iterable(rows))
    array = array_of(flat, spec.datatype, places(spec, signature), faults)
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
    if not check_names(values, (name,), "input", faults):
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
        array = array_of(flat, spec.datatype, places(spec, signature), faults)
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
            faults.add(f"expected an object with the columns {listed(names)}, got a list")
            return None
        return [values] if check_batch(values, faults) else None
    if not check_batch(values, faults):
        return None
    if _objects(values, faults):
        return _row_columns(values, names, faults)
    return None if faults else _plain_columns(values, names, faults)


def _plain_columns(
    rows: list[Any], names: Sequence[str], faults: Faults,
) -> Sequence[list[Any]] | None:
    if len(names) == 1:
        return [rows]
    wanted = f"an object by name or a list of {len(names)} values: {listed(names)}"
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
            check_names(row, names, "column", faults, f"row {i}: ")
    return None if faults else [[row[name] for row in rows] for name in names]


def _named_columns(
    columns: dict[str, Any], names: Sequence[str], faults: Faults,
) -> list[list[Any]] | None:
    if not check_names(columns, names, "column", faults):
        return None
    for name in names:
        if type(columns[name]) is not list:
            faults.add(f"column '{name}': expected a list with one value a row")
    if not faults:
        check_lengths({name: len(columns[name]) for name in names}, faults)
    return None if faults else [columns[name] for name in names]


def _unwrap(values: list[Any], *, by_row: bool) -> list[Any]:
    """Return a column without lists of one: a whole `[n, 1]` tensor, or row by row as each row has it."""
    kinds = set(map(type, values))
    if list not in kinds:
        return values
    if by_row or (kinds == {list} and set(map(len, values)) == {1}):
        return [value[0] if type(value) is list and len(value) == 1 else value for value in values]
    return values


def _check_values(array: Array, spec: TensorSpec, where: Where, faults: Faults) -> None:
    if not refused(array, spec):
        return
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
                                       f"expected one of {listed(sorted(known))}")  # fmt: skip
