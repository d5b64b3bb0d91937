"""What a model answers, held against its signature before anyone sees it."""

from collections.abc import Mapping, Sequence

import numpy as np

from mlapi.errors import InvalidAnswer
from mlapi.inference.signature import NUMPY_TYPES, Signature, TensorSpec
from mlapi.inference.values import Array

DTYPES = {datatype: np.dtype(numpy_type) for datatype, numpy_type in NUMPY_TYPES.items()}


def check(outputs: Mapping[str, Array], wanted: Sequence[str], signature: Signature, rows: int) -> None:
    """Raise InvalidAnswer unless every output of `wanted` is there as the signature has it, for `rows` rows.

    Arrays are judged whole: shape `[rows, k]`, dtype, and for text that nothing else is in the array.
    """
    for spec in signature.outputs:
        if spec.name in wanted:
            fault = _fault(outputs.get(spec.name), spec, rows)
            if fault:
                raise InvalidAnswer(f"the model's '{spec.name}' {fault}")


def _fault(array: Array | None, spec: TensorSpec, rows: int) -> str:
    if array is None:
        return "is missing from its answer"
    if array.shape != (rows, spec.width):
        return f"has shape {list(array.shape)}; expected {[rows, spec.width]}"
    if array.dtype != DTYPES[spec.datatype]:
        return f"is an array of {array.dtype}; expected {spec.datatype}"
    if array.dtype == object and not all(issubclass(kind, str) for kind in set(map(type, array.reshape(-1).tolist()))):
        return "holds something else than text"
    return ""
