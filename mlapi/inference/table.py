"""Tables made to fit a signature: columns by name, in any order, with missing values where the signature has them."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from mlapi.inference.arrays import Where, array_of, cast, straight
from mlapi.inference.cells import decoded
from mlapi.inference.checks import check_lengths, check_names, listed, places
from mlapi.inference.faults import Faults
from mlapi.inference.signature import Signature
from mlapi.inference.values import Array, Table
from mlapi.inference.wholecolumns import whole_column

FLOATS = {"FP16", "FP32", "FP64"}

Column = list[Any] | Array


def table_arrays(table: Table, signature: Signature, faults: Faults) -> dict[str, Array]:
    """Return a table as arrays by input name, `[n]` for columns and `[n, k]` for a matrix; notes every fault."""
    names = signature.features if signature.form == "matrix" else signature.input_names
    columns = _named(table.columns, names, faults) if names else _in_order(table.columns, signature, faults)
    if columns is None:
        return {}
    check_lengths({name: len(values) for name, values in columns.items()}, faults)
    if faults:
        return {}
    if signature.form == "columns":
        found = {
            spec.name: _array(columns[spec.name], spec.datatype, places(spec, signature), faults, written=table.written)
            for spec in signature.inputs
        }
        return {name: array for name, array in found.items() if array is not None}
    spec = signature.inputs[0]
    place, width = places(spec, signature), spec.width
    if table.written:
        cells = list(chain.from_iterable(zip(*columns.values(), strict=True)))
        array = whole_column(cells, spec.datatype)
        if array is not None:
            return {spec.name: array.reshape(-1, width)}
    arrays = [
        _array(values, spec.datatype, _within(place, j, width), faults, written=table.written)
        for j, values in enumerate(columns.values())
    ]
    whole = [array for array in arrays if array is not None]
    return {spec.name: np.column_stack(whole)} if len(whole) == width else {}


def _named(columns: Mapping[str, Column], names: Sequence[str], faults: Faults) -> dict[str, Column] | None:
    return {name: columns[name] for name in names} if check_names(columns, names, "column", faults) else None


def _in_order(columns: Mapping[str, Column], signature: Signature, faults: Faults) -> dict[str, Column] | None:
    spec = signature.inputs[0]
    if len(columns) == spec.width:
        return dict(columns)
    faults.add(f"the table has {len(columns)} columns; expected the {spec.width} of {listed([spec.name])}, in order")
    return None


def _within(place: Where, column: int, width: int) -> Where:
    """Return how messages name value i of one column of a matrix (-1: the column itself)."""
    def where(i: int) -> str:
        return place(i * width + column) if i >= 0 else place(column).partition(", ")[2]

    return where


def _array(column: Column, datatype: str, where: Where, faults: Faults, *, written: bool) -> Array | None:
    if isinstance(column, list):
        plain = whole_column(column, datatype) if written else straight(column, datatype)
        if plain is not None:
            return plain
    values = decoded(column, datatype) if written else column
    if isinstance(values, np.ndarray):
        if datatype not in FLOATS and values.dtype.kind == "f" and _lacks(np.isnan(values), where, faults):
            return None
        return cast(values, datatype, where, faults)
    lacking = np.array([value is None for value in values], dtype=bool)
    if not lacking.any() or datatype in FLOATS:
        return array_of(values, datatype, where, faults, null=True)
    if datatype == "BYTES":
        return _with_gaps(values, lacking, where, faults)
    _lacks(lacking, where, faults)
    return None


def _with_gaps(values: list[Any], lacking: Array, where: Where, faults: Faults) -> Array | None:
    """Return texts with None where one is missing; whether it may be is for the checks of all forms."""
    places_of = np.flatnonzero(~lacking)
    present = array_of([values[i] for i in places_of], "BYTES", _moved(where, places_of), faults)
    if present is None:
        return None
    texts = np.full(len(values), None, dtype=object)
    texts[~lacking] = present
    return texts


def _moved(where: Where, places_of: Array) -> Callable[[int], str]:
    return lambda i: where(int(places_of[i]) if i >= 0 else i)


def _lacks(lacking: Array, where: Where, faults: Faults) -> bool:
    missing = np.flatnonzero(lacking).tolist()
    faults.each(missing, lambda i: f"{where(i)}: is missing, and this model takes no missing value there")
    return bool(missing)
