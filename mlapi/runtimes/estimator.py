"""scikit-learn estimators, and whatever else has `predict`, as predictors."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlapi.errors import ModelFailed, ModelRefusedInput
from mlapi.inference.signature import NUMPY_TYPES, Signature
from mlapi.inference.values import Array
from mlapi.runtimes.predictor import Feed

LONGEST_REFUSAL = 300


class EstimatorPredictor:
    """Answers `predict` and `predict_proba` by the estimator's methods of these names."""

    def __init__(self, model: Any, signature: Signature, feed: Feed) -> None:  # noqa: ANN401 (any estimator)
        self.model = model
        self._signature = signature
        self._dtypes = {spec.name: NUMPY_TYPES[spec.datatype] for spec in signature.outputs}
        self._prepare = _PREPARE[feed]

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Return each of `outputs` as `[n, k]` in its declared datatype."""
        return {name: self._output(name, self.ask(name, inputs)) for name in outputs}

    def prepared(self, inputs: Mapping[str, Array]) -> Any:  # noqa: ANN401 (what the feed makes)
        """Return the inputs as the estimator is handed them."""
        return self._prepare(inputs, self._signature)

    def ask(self, method: str, inputs: Mapping[str, Array]) -> Any:  # noqa: ANN401 (whatever it answers)
        """Return what the estimator's method answers, as it answers it."""
        try:
            return getattr(self.model, method)(self.prepared(inputs))
        except ValueError as error:
            raise ModelRefusedInput(_one_line(error)) from error
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # somebody at the terminal
            msg = f"the model failed in {method}"
            raise ModelFailed(msg) from error

    def _output(self, name: str, answer: Any) -> Array:  # noqa: ANN401 (see ask)
        try:
            array = np.asarray(answer)
            return array.reshape(len(array), -1).astype(self._dtypes[name], copy=False)
        except (TypeError, ValueError) as error:
            msg = f"the model's {name} is not one row of its declared datatype an instance"
            raise ModelFailed(msg) from error


def matrix(inputs: Mapping[str, Array], signature: Signature) -> Array:
    """Return the one float matrix `[n, k]`, from a matrix input or from numeric columns."""
    if signature.form == "matrix":
        return inputs[signature.inputs[0].name]
    return np.column_stack([inputs[name] for name in signature.input_names])


def frame(inputs: Mapping[str, Array], signature: Signature) -> Any:  # noqa: ANN401 (pandas has no place in a signature here)
    """Return a pandas data frame with the columns of the signature, missing text as NaN."""
    import pandas as pd  # noqa: PLC0415 (half a second that array models must not pay)

    if signature.form == "matrix":
        return pd.DataFrame(inputs[signature.inputs[0].name], columns=list(signature.features))
    columns: dict[str, Any] = {}
    for spec in signature.inputs:
        array = inputs[spec.name]
        columns[spec.name] = _text(array) if spec.datatype == "BYTES" else array
    return pd.DataFrame(columns)


def objects(inputs: Mapping[str, Array], signature: Signature) -> Array:
    """Return the columns side by side in one object matrix `[n, k]`, missing text as NaN."""
    table = np.empty((len(inputs[signature.inputs[0].name]), len(signature.inputs)), dtype=object)
    for j, name in enumerate(signature.input_names):
        table[:, j] = _text(inputs[name])
    return table


def _text(array: Array) -> Array:
    """scikit-learn's imputers and encoders look for NaN, not None, in object columns."""
    if array.dtype != object:
        return array
    missing = np.array([value is None for value in array], dtype=bool)
    return np.where(missing, np.nan, array) if missing.any() else array


def _one_line(error: ValueError) -> str:
    text = " ".join(str(error).split())
    return text[:LONGEST_REFUSAL] or "the model refused the values"


_PREPARE: dict[Feed, Callable[[Mapping[str, Array], Signature], Any]] = {
    "array": matrix,
    "frame": frame,
    "objects": objects,
}
