"""The model as explanations see it: numbers by original column in, numbers by class out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlapi.errors import NotExplainable
from mlapi.explain.values import Output
from mlapi.inference.values import Array, rows_of
from mlapi.registry.loading import LoadedModel
from mlapi.runtimes.estimator import EstimatorPredictor


class Subject:
    """A version, its columns, and the output that is explained.

    Raises NotExplainable where no output is a number that contributions could add up to: class names
    without probabilities, cluster numbers, several targets.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self._specs = loaded.signature.inputs
        self.matrix = loaded.signature.form == "matrix"
        if not self.matrix and any(spec.width != 1 for spec in self._specs):
            raise _none(loaded, "it takes several tensors of more than one column")
        self.output: Output = _output(loaded)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the original columns; those of a matrix without names are their numbers."""
        signature = self.loaded.signature
        if not self.matrix:
            return signature.input_names
        return signature.features or tuple(map(str, range(self._specs[0].width)))

    @property
    def background(self) -> dict[str, Array]:
        """The reference rows of the version, which stand for "not known"."""
        return dict(self.loaded.reference.inputs)

    @property
    def model(self) -> Any:  # noqa: ANN401 (any estimator)
        """The estimator, or what a search over its parameters has found; None for a runtime without one."""
        predictor = self.loaded.predictor
        if not isinstance(predictor, EstimatorPredictor):
            return None
        return getattr(predictor.model, "best_estimator_", predictor.model)

    def prepared(self, inputs: Mapping[str, Array]) -> Any:  # noqa: ANN401 (an array or a data frame)
        """Return the rows as the estimator is handed them."""
        predictor = self.loaded.predictor
        assert isinstance(predictor, EstimatorPredictor)  # noqa: S101 (asked for where `model` is one)
        return predictor.prepared(inputs)

    def answers(self, inputs: Mapping[str, Array], output: Output) -> Array:
        """Return the numbers that `output` has for each row `[n, k]`: one, or one a class.

        The two classes of a binary `decision_function` have its value and, the first one, its negative.
        """
        if output != "decision_function":
            return self.loaded.predict(inputs, (output,))[output].astype("f8")
        predictor = self.loaded.predictor
        assert isinstance(predictor, EstimatorPredictor)  # noqa: S101 (only estimators have it)
        margins = np.asarray(predictor.ask(output, inputs), dtype="f8")
        return by_class(margins)

    def classes_of(self, inputs: Mapping[str, Array]) -> list[int] | None:
        """Return the place of the predicted class of each row, or None for a regressor."""
        classes = self.loaded.manifest.classes
        if classes is None:
            return None
        places = {label: place for place, label in enumerate(classes)}
        predicted = self.loaded.predict(inputs, ("predict",))["predict"][:, 0].tolist()
        return [places[label] for label in predicted]

    def grid(self, *batches: Mapping[str, Array]) -> "Grid":
        """Return the rows of `batches` one after the other, as a grid of numbered cells."""
        names = self.loaded.signature.input_names
        return Grid({name: np.concatenate([batch[name] for batch in batches]) for name in names}, matrix=self.matrix)


class Grid:
    """Rows whose cells have numbers, so that cells of any datatype can be mixed: cell (i, j) has the number i."""

    def __init__(self, arrays: Mapping[str, Array], *, matrix: bool) -> None:
        self._arrays = arrays
        self._matrix = matrix
        width = next(iter(arrays.values())).shape[1] if matrix else len(arrays)
        self.numbers = np.repeat(np.arange(rows_of(arrays), dtype="f8")[:, None], width, axis=1)

    def inputs(self, numbers: Array) -> dict[str, Array]:
        """Return rows made of the cells with these numbers, column by column."""
        rows = numbers.astype("i8")
        if self._matrix:
            return {name: np.take_along_axis(array, rows, axis=0) for name, array in self._arrays.items()}
        return {name: array[rows[:, j]] for j, (name, array) in enumerate(self._arrays.items())}


def by_class(margins: Array) -> Array:
    """Return margins as `[n, classes]`."""
    return np.column_stack([-margins, margins]) if margins.ndim == 1 else margins


def _output(loaded: LoadedModel) -> Output:
    outputs = {spec.name: spec for spec in loaded.signature.outputs}
    if loaded.manifest.classes is not None:
        if "predict_proba" in outputs:
            return "predict_proba"
        if hasattr(loaded.predictor.model, "decision_function"):
            return "decision_function"
        raise _none(loaded, "it answers class names without a number for them")
    predict = outputs.get("predict")
    if predict is None or predict.width != 1 or not predict.datatype.startswith("FP"):
        raise _none(loaded, "it answers no single number that contributions could add up to")
    return "predict"


def _none(loaded: LoadedModel, why: str) -> NotExplainable:
    manifest = loaded.manifest
    return NotExplainable(f"version {manifest.version} of model '{manifest.name}' cannot be explained: {why}")
