"""The reference rows of a version: up to 200 rows of the sample with the model's own answers.

They are the golden rows that a version must still answer when it is loaded, its warm-up, and the
examples that documentation shows. An `.npz` without pickles; text is stored as UTF-8 JSON.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlapi.inference.signature import NUMPY_TYPES, Signature
from mlapi.inference.values import Array

FILE = "reference.npz"
ROWS = 200
LARGEST = 64 * 2**20
RTOL = 1e-6
_NOT_THESE_ROWS = (KeyError, TypeError, ValueError, RuntimeError, EOFError, OSError, zipfile.BadZipFile, zlib.error)
"""What numpy, zipfile and json raise on bytes that are something else."""


class RowsError(Exception):
    """The bytes hold no reference rows for the signature."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Conformed inputs, the answers they got at publish, and the target where one was given."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    target: Array | None = None


def dumps(reference: Reference, signature: Signature) -> bytes:
    """Return the `.npz` bytes, the same for the same rows."""
    arrays = {f"input-{i}": _stored(reference.inputs[name]) for i, name in enumerate(signature.input_names)}
    arrays |= {f"output-{i}": _stored(reference.outputs[name]) for i, name in enumerate(signature.output_names)}
    if reference.target is not None:
        arrays["target"] = _stored(reference.target)
    sink = io.BytesIO()
    np.savez_compressed(sink, allow_pickle=False, **arrays)
    return sink.getvalue()


def loads(data: bytes, signature: Signature) -> Reference:
    """Return the reference rows in `data`; RowsError where they are none of this signature."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            inputs = {
                spec.name: _restored(stored[f"input-{i}"], spec.datatype)
                for i, spec in enumerate(signature.inputs)
            }
            outputs = {
                spec.name: _restored(stored[f"output-{i}"], spec.datatype).reshape(-1, spec.width)
                for i, spec in enumerate(signature.outputs)
            }
    except _NOT_THESE_ROWS as error:
        msg = f"{FILE} does not fit the signature ({type(error).__name__})"
        raise RowsError(msg) from error
    return Reference(inputs, outputs)


def differences(got: Mapping[str, Array], expected: Mapping[str, Array], rtol: float = RTOL) -> list[str]:
    """Return a sentence for each output whose answers are not the expected ones.

    Labels must be identical; numbers equal within `rtol`, absolutely below the size of the largest
    expected value times 1e-12, and missing where missing was expected.
    """
    sentences = []
    for name, wanted in expected.items():
        given = got[name]
        if given.shape != wanted.shape:
            sentences.append(f"'{name}' has shape {list(given.shape)}; expected {list(wanted.shape)}")
            continue
        same = _equal(given, wanted, rtol)
        if not same.all():
            rows = np.unique(np.nonzero(~same)[0])
            sentences.append(f"'{name}' differs in {len(rows)} of {len(wanted)} rows, first in row {rows[0]}")
    return sentences


def head(arrays: Mapping[str, Array], rows: int) -> dict[str, Array]:
    """Return the first `rows` rows of every array."""
    return {name: array[:rows] for name, array in arrays.items()}


def _equal(given: Array, wanted: Array, rtol: float) -> Array:
    if wanted.dtype.kind != "f":
        return np.asarray(given == wanted)
    floor = 1e-12 * float(np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted)))
    return np.isclose(given, wanted, rtol=rtol, atol=floor, equal_nan=True)


def _stored(array: Array) -> Array:
    if array.dtype != object:
        return array
    return np.frombuffer(json.dumps(array.reshape(-1).tolist(), ensure_ascii=False).encode(), dtype=np.uint8)


def _restored(array: Array, datatype: str) -> Array:
    if datatype != "BYTES":
        return array.astype(NUMPY_TYPES[datatype], copy=False)
    values: Sequence[str | None] = json.loads(array.tobytes().decode())
    texts = np.empty(len(values), dtype=object)
    texts[:] = values
    return texts
