"""Example bodies for a signature, from its reference rows: for a terminal, and for documentation."""

from collections.abc import Mapping
from typing import Any

from mlapi.inference.signature import Signature
from mlapi.inference.values import Array


def v1_body(signature: Signature, rows: Mapping[str, Array]) -> dict[str, Any]:
    """Return a V1 predict body with the first of `rows`: by column name, or as a list for a matrix."""
    if signature.form == "matrix":
        return {"instances": rows[signature.inputs[0].name][:1].tolist()}
    return {"instances": [{name: rows[name][0].item() if hasattr(rows[name][0], "item") else rows[name][0]
                           for name in signature.input_names}]}  # fmt: skip


def v2_body(signature: Signature, rows: Mapping[str, Array]) -> dict[str, Any]:
    """Return a V2 inference body with the first of `rows`."""
    return {
        "inputs": [
            {"name": spec.name, "shape": [1, spec.width], "datatype": spec.datatype,
             "data": rows[spec.name][:1].reshape(-1).tolist()}
            for spec in signature.inputs
        ],
    }  # fmt: skip
