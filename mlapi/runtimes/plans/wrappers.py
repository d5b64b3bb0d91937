"""Models around models: calibrated probabilities, means of several, transformed targets, and constants."""

from dataclasses import dataclass

import numpy as np

from mlapi.inference.values import Array
from mlapi.runtimes.plans.heads import LINKS, logistic
from mlapi.runtimes.plans.shapes import merged
from mlapi.runtimes.plans.step import Edges, Rows, Step, step


@step("probabilities")
@dataclass(eq=False)
class Probabilities(Step):
    """What `predict_proba` makes of the scores of `model`; of two classes the second one alone."""

    model: Step
    link: str

    def __call__(self, rows: Rows) -> Array:
        """Return `[n]` for two classes, else `[n, classes]`."""
        found = LINKS[self.link](self.model(rows))
        return found[:, 1] if found.shape[1] == 2 else found  # noqa: PLR2004 (classes)

    def edges(self) -> Edges:
        """Return those of the model."""
        return self.model.edges()


@step("sigmoid")
@dataclass(eq=False)
class Sigmoid(Step):
    """Platt's calibration: 1 / (1 + exp(slope * score + offset))."""

    slope: float
    offset: float

    def __call__(self, rows: Array) -> Array:
        """Return the probabilities of scores."""
        return logistic(-(self.slope * rows + self.offset))


@step("isotonic")
@dataclass(eq=False)
class Isotonic(Step):
    """Isotonic calibration: straight lines between points, flat outside of them."""

    scores: Array
    values: Array

    def __call__(self, rows: Array) -> Array:
        """Return the probabilities of scores."""
        if len(self.scores) == 1:
            return np.repeat(self.values, len(rows))
        found: Array = np.interp(np.clip(rows, self.scores[0], self.scores[-1]), self.scores, self.values)
        return found


@step("calibrated")
@dataclass(eq=False)
class Calibrated(Step):
    """The scores of `model` on their curves, curve i for class `places[i]`, and made to add up to 1."""

    model: Step
    curves: tuple[Step, ...]
    places: tuple[int, ...]
    classes: int

    def __call__(self, rows: Rows) -> Array:
        """Return `[n, classes]`."""
        scores = self.model(rows)
        scores = scores.reshape(len(scores), -1)
        found = np.zeros((len(scores), self.classes))
        for column, (curve, place) in enumerate(zip(self.curves, self.places, strict=True)):
            found[:, place] = curve(scores[:, column])
        if self.classes == 2:  # noqa: PLR2004 (classes)
            found[:, 0] = 1.0 - found[:, 1]
        else:
            total = np.sum(found, axis=1)[:, None]
            found = np.divide(found, total, out=np.full_like(found, 1 / self.classes), where=total != 0)
        found[(found > 1.0) & (found <= 1.0 + 1e-5)] = 1.0
        return found

    def edges(self) -> Edges:
        """Return those of the model."""
        return self.model.edges()


@step("mean")
@dataclass(eq=False)
class Mean(Step):
    """The mean of what several models give, added up one after the other."""

    models: tuple[Step, ...]

    def __call__(self, rows: Rows) -> Array:
        """Return the mean."""
        total = 0.0 + self.models[0](rows)
        for model in self.models[1:]:
            total += model(rows)
        total /= len(self.models)
        answer: Array = total
        return answer

    def edges(self) -> Edges:
        """Return the edges of all."""
        found: Edges = {}
        for model in self.models:
            found = merged(found, model.edges())
        return found


@step("column")
@dataclass(eq=False)
class Column(Step):
    """One number a row becomes a matrix of one column."""

    def __call__(self, rows: Array) -> Array:
        """Return `[n, 1]`, or the matrix that it was."""
        return rows.reshape(len(rows), -1)


@step("constant")
@dataclass(eq=False)
class Constant(Step):
    """The same numbers for every row."""

    values: Array

    def __call__(self, rows: Rows) -> Array:
        """Return `[n, k]`."""
        return np.tile(self.values, (len(rows if isinstance(rows, np.ndarray) else rows[0]), 1))
