"""Example bodies for a signature, from its reference rows: for a terminal, and for documentation."""

from collections.abc import Mapping
from typing import Any

from mlapi.inference.signature import Signature
from mlapi.inference.values import Array, rows_of


def v1_body(signature: Signature, rows: Mapping[str, Array]) -> dict[str, Any]:
    """Return a V1 predict body with one of `rows`: by column name, or as a list for a matrix."""
    i = whole_row(rows)
    if signature.form == "matrix":
        return {"instances": rows[signature.inputs[0].name][i : i + 1].tolist()}
    return {"instances": [{name: rows[name][i : i + 1].tolist()[0] for name in signature.input_names}]}


def v2_body(signature: Signature, rows: Mapping[str, Array]) -> dict[str, Any]:
    """Return a V2 inference body with one of `rows`."""
    i = whole_row(rows)
    return {
        "inputs": [
            {"name": spec.name, "shape": [1, spec.width], "datatype": spec.datatype,
             "data": rows[spec.name][i : i + 1].reshape(-1).tolist()}
            for spec in signature.inputs
        ],
    }  # fmt: skip


def whole_row(rows: Mapping[str, Array]) -> int:
    """Return the number of the row that examples show: the first that lacks nothing.

    JSON has no form for a missing text, nor most readers for NaN.
    """
    lacks = [(array != array) | (array == None) for array in rows.values()]  # noqa: E711, PLR0124 (element by element)
    complete = [i for i in range(rows_of(rows)) if not any(bits[i].any() for bits in lacks)]
    return complete[0] if complete else 0
