"""A model on its way to become a version: what it answers, and the proof that its file answers the same."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlapi.errors import MlapiError, PublishRefused
from mlapi.inference.faults import quoted
from mlapi.inference.signature import NUMPY_TYPES, Signature, TensorSpec
from mlapi.inference.values import Array, rows_of
from mlapi.registry import reference
from mlapi.registry.reference import Reference
from mlapi.registry.sample import Table, array_of
from mlapi.runtimes import onnx_file
from mlapi.runtimes.estimator import EstimatorPredictor
from mlapi.runtimes.formats import UnloadableError, parse, predictor
from mlapi.runtimes.pickled import Audit
from mlapi.runtimes.predictor import Predictor

TABLE_DIMENSIONS = 2
SEVERAL_OUTPUTS = "the model has several outputs, each with classes of its own; publish one model per output"
_OUTPUT_TYPES = {"f": "FP64", "i": "INT64", "u": "INT64", "b": "BOOL", "U": "BYTES", "O": "BYTES"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """The model, its file, and the sample as it will arrive over the wire."""

    runtime: str
    model: Any
    artifact: bytes
    audit: Audit | None
    table: Table
    sample: Any
    target: Any

    def prove(self) -> tuple[Signature, Reference, Predictor]:
        """Return the signature, reference rows with the answers of the file that was read back, and its predictor.

        Raises PublishRefused where the model fails on the sample, or where its file, or the typed
        columns of the wire, make it answer anything else than it answers the sample itself.
        """
        keep = _spread(rows_of(self.table.arrays))
        inputs = {name: array[keep] for name, array in self.table.arrays.items()}
        try:
            signature = self._signature(inputs)
            mine = self._answers(self.model, signature, inputs)
            read_back = predictor(self.runtime, parse(self.runtime, self.artifact), signature, self.table.feed)
            again = read_back.predict(inputs, signature.output_names)
        except PublishRefused:
            raise
        except (MlapiError, UnloadableError) as error:
            msg = f"the model does not answer the sample: {error}{_cause(error)}"
            raise PublishRefused(msg) from error
        _refuse(reference.differences(again, mine), "after it was written and read back")
        _refuse(self._against_sample(mine, keep), "when rows arrive as typed columns instead of as the sample")
        return signature, Reference(inputs, again, self._target(keep)), read_back

    def _signature(self, inputs: Mapping[str, Array]) -> Signature:
        if isinstance(getattr(self.model, "classes_", None), list):
            raise PublishRefused(SEVERAL_OUTPUTS)
        bare = Signature(self.table.form, self.table.specs, (), self.table.features)
        if self.runtime == "onnx":
            return replace(bare, outputs=tuple(onnx_file.specs(self.model)[1]))
        probe = EstimatorPredictor(self.model, bare, self.table.feed)
        methods = [name for name in ("predict", "predict_proba") if hasattr(self.model, name)]
        rows = rows_of(inputs)
        return replace(bare, outputs=tuple(_output(name, probe.ask(name, inputs), rows) for name in methods))

    def _answers(self, model: Any, signature: Signature, inputs: Mapping[str, Array]) -> dict[str, Array]:  # noqa: ANN401 (any estimator)
        return predictor(self.runtime, model, signature, self.table.feed).predict(inputs, signature.output_names)

    def _against_sample(self, mine: Mapping[str, Array], keep: Array) -> list[str]:
        """Compare with what the model says to the sample itself, untouched by mlapi."""
        framed = hasattr(self.sample, "iloc")
        fitted: Any = getattr(self.model, "feature_names_in_", None)
        if self.runtime == "onnx" or framed == (fitted is None):
            return []  # scikit-learn would warn of names missing or unexpected; the typed rows have them right
        rows = self.sample.rename(columns=str)[list(fitted)].iloc[keep] if framed else array_of(self.sample)[keep]
        try:
            answer = np.asarray(self.model.predict(rows))
            answer = answer.reshape(len(answer), -1).astype(mine["predict"].dtype)
        except Exception as error:  # whatever a foreign estimator raises
            msg = f"the model does not answer the sample as it is: {' '.join(str(error).split())[:300]}"
            raise PublishRefused(msg) from error
        return reference.differences({"predict": mine["predict"]}, {"predict": answer})

    def _target(self, keep: Array) -> Array | None:
        if self.target is None:
            return None
        values, rows = np.asarray(self.target), rows_of(self.table.arrays)
        if values.shape[:1] != (rows,):
            msg = f"the target has shape {list(values.shape)}; the sample has {rows} rows"
            raise PublishRefused(msg)
        return (values if values.dtype.kind in "fiub" else values.astype(str).astype(object))[keep]


def onnx_table(session: Any, sample: Table) -> Table:  # noqa: ANN401 (an onnxruntime session)
    """Return the sample in the tensors that the graph declares: one matrix, or one tensor a column.

    Raises PublishRefused where their number or datatypes do not fit the sample's columns.
    """
    try:
        specs = onnx_file.specs(session)[0]
    except UnloadableError as error:
        msg = f"the ONNX graph cannot be published: {error}"
        raise PublishRefused(msg) from error
    if len(specs) == 1 and sample.form == "matrix" and specs[0].width == sample.specs[0].width:
        spec = replace(specs[0], nullable=sample.specs[0].nullable)
        values = _fitted(sample.arrays[sample.specs[0].name], spec, "the sample")
        return Table("matrix", "tensors", (spec,), {spec.name: values}, sample.features)
    columns = _columns(sample)
    if len(specs) != len(columns) or any(spec.width != 1 for spec in specs):
        takes = ", ".join(f"'{spec.name}' {list(spec.shape)}" for spec in specs[:10])
        msg = f"the ONNX graph takes {takes}; the sample has {len(columns)} columns"
        raise PublishRefused(msg)
    named = {spec.name for spec in specs} == set(columns)  # else they are taken in the order they stand in
    arrays, nullable = {}, []
    for spec, (name, values) in zip(specs, columns.items(), strict=True):
        given = columns[spec.name] if named else values
        arrays[spec.name] = _fitted(given, spec, f"column {quoted(spec.name if named else name)} of the sample")
        missing = given.dtype.kind == "f" and bool(np.isnan(given).any())
        nullable.append(replace(spec, nullable=missing))
    return Table("columns", "tensors", tuple(nullable), arrays)


def _fitted(values: Array, spec: TensorSpec, what: str) -> Array:
    """Return the values in the datatype of a graph's tensor; PublishRefused where it cannot hold them."""
    if (values.dtype == object) == (spec.datatype == "BYTES"):
        with np.errstate(invalid="ignore", over="ignore"):
            fitted: Array = values.astype(NUMPY_TYPES[spec.datatype])
        if fitted.dtype.kind in "fO" or np.array_equal(fitted, values):
            return fitted
    msg = f"{what} does not fit the graph's '{spec.name}' ({spec.datatype})"
    raise PublishRefused(msg)


def _columns(sample: Table) -> dict[str, Array]:
    if sample.form == "columns":
        return dict(sample.arrays)
    matrix = sample.arrays[sample.specs[0].name]
    return {name: matrix[:, j] for j, name in enumerate(sample.features or map(str, range(matrix.shape[1])))}


def _output(method: str, answer: Any, rows: int) -> TensorSpec:  # noqa: ANN401 (what the estimator returned)
    if isinstance(answer, list) and method == "predict_proba":
        raise PublishRefused(SEVERAL_OUTPUTS)
    try:
        array = np.asarray(answer)
    except ValueError as error:  # rows of several lengths
        msg = f"{method} answers no table; expected one row an instance"
        raise PublishRefused(msg) from error
    datatype = _OUTPUT_TYPES.get(array.dtype.kind)
    if datatype is None or array.ndim not in {1, TABLE_DIMENSIONS} or len(array) != rows:
        found = f"{array.dtype} of shape {list(array.shape)} for {rows} rows"
        msg = f"{method} answers {found}; expected one row an instance"
        raise PublishRefused(msg)
    return TensorSpec(method, datatype, (-1, array.shape[1] if array.ndim > 1 else 1))


def _refuse(sentences: list[str], when: str) -> None:
    if sentences:
        msg = f"the model answers differently {when}: {'; '.join(sentences)}"
        raise PublishRefused(msg)


def _spread(rows: int) -> Array:
    """Indices of up to 200 rows, evenly spread over the sample."""
    return np.unique(np.linspace(0, rows - 1, min(rows, reference.ROWS)).astype(int))


def _cause(error: Exception) -> str:
    return f" ({' '.join(str(error.__cause__).split())[:300]})" if error.__cause__ is not None else ""
