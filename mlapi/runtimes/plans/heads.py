"""The last step of a plan: from numbers to the outputs that the estimator's methods answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from mlapi.inference.values import Array
from mlapi.runtimes.plans.step import Edges, Step, Unproven, step

LARGEST_EXPONENT = 709.0
"""exp of more overflows (IEEE 754, binary64)."""
FEW = 16
"""Rows up to which Python's own lists are faster than numpy's calls."""
NEAR = 1e-9
"""Probabilities this close are for the estimator to tell apart, where they are not its own to the last bit."""


@step("regression")
@dataclass(eq=False)
class Regression(Step):
    """`predict` is what `model` gives."""

    model: Step

    def answers(self, rows: Array, wanted: Sequence[str]) -> dict[str, Array]:
        """Return `predict` as `[n, k]`."""
        values = self.model(rows)
        return {name: values.reshape(len(rows), -1) for name in wanted}

    def edges(self) -> Edges:
        """Return those of the model."""
        return self.model.edges()


@step("classification")
@dataclass(eq=False)
class Classification(Step):
    """`predict` is the label of the largest score, or of the sign of a lone one; `predict_proba` is by `link`.

    A lone score is compared with `middle`, where it is the class `zero`. Scores that are not bit for bit
    the estimator's (`exact`) decide nothing where they are as close to each other as rounding could be.
    """

    model: Step
    link: str
    labels: tuple[str | int | bool, ...]
    exact: bool
    zero: int = 0
    middle: float = 0.0

    def __post_init__(self) -> None:
        kind = np.dtype(object) if isinstance(self.labels[0], str) else np.array(self.labels).dtype
        self._labels: Array = np.empty((len(self.labels), 1), dtype=kind)
        self._labels[:, 0] = self.labels
        self._has_tolerance = hasattr(self.model, "tolerance")
        self._link = LINKS["identity" if self.link == "none" else self.link]
        self._by_logits = not self.exact and getattr(self.model, "ends_in_softmax", False)

    def answers(self, rows: Array, wanted: Sequence[str]) -> dict[str, Array]:
        """Return `predict` as `[n, 1]` and `predict_proba` as `[n, classes]`, those of them that are wanted."""
        if self._by_logits and len(wanted) == 1 and wanted[0] == "predict":
            return {"predict": self._of_logits(self.model.logits(rows))}  # type: ignore[attr-defined]
        scores = self.model(rows)
        found: dict[str, Array] = {}
        for name in wanted:
            found[name] = self._predicted(scores, rows) if name == "predict" else self._link(scores)
        return found

    def edges(self) -> Edges:
        """Return those of the model."""
        return self.model.edges()

    def _predicted(self, scores: Array, rows: Array) -> Array:
        if scores.ndim == 1 or scores.shape[1] == 1:
            if len(scores) == 1:
                return self._one(float(scores.item()) - self.middle, rows)
            lone = scores.reshape(-1) - self.middle
            if not self.exact and np.less_equal(np.abs(lone), self._tolerance(rows)).any():
                raise Unproven
            positive = np.greater_equal(lone, 0) if self.zero else np.greater(lone, 0)
            found: Array = self._labels.take(positive, axis=0)
            return found
        if not self.exact and not self._has_tolerance:
            return self._labels.take(_apart(scores), axis=0)
        best = scores.argmax(axis=1)
        if not self.exact:
            _check_apart(scores, self._tolerance(rows))
        chosen: Array = self._labels.take(best, axis=0)
        return chosen

    def _of_logits(self, logits: Array) -> Array:
        """Return the labels of the largest, which softmax leaves the largest.

        Of `k` classes the likeliest has at least 1 / k, so that the second is less likely by 1 / k times
        1 - exp(-gap) or more: where the gap is above 2 k NEAR, by more than NEAR.
        """
        return self._labels.take(_apart(logits, 2 * NEAR * logits.shape[1]), axis=0)

    def _one(self, score: float, rows: Array) -> Array:
        """Return the label of a single row, which is what most requests hold."""
        if not self.exact:
            tolerance = self._tolerance(rows)
            if abs(score) <= (tolerance if isinstance(tolerance, float) else tolerance.item()):
                raise Unproven
        place = int(score >= 0 if self.zero else score > 0)
        return self._labels[place : place + 1].copy()

    def _tolerance(self, rows: Array) -> Array | float:
        if not self._has_tolerance:
            return NEAR
        found: Array = self.model.tolerance(rows)  # type: ignore[attr-defined]
        return found[:, 0] if found.shape[1] == 1 else found


def _apart(scores: Array, near: float = NEAR) -> list[int] | Array:
    """Return where the largest of each row is; raises Unproven unless all are finite and the second is not `near`.

    Of a few rows Python finds it faster than numpy.
    """
    if len(scores) > FEW:
        if not np.isfinite(scores).all():
            raise Unproven
        _check_apart(scores, near)
        best: Array = scores.argmax(axis=1)
        return best
    places = []
    for row in scores.tolist():
        total, first = sum(row), max(row)
        place = row.index(first)
        row[place] = -inf
        if total - total != 0.0 or not first - max(row) > near:  # none is finite that is added to what is not
            raise Unproven
        places.append(place)
    return places


def _check_apart(scores: Array, tolerance: Array | float) -> None:
    top = np.partition(scores, -2, axis=1)[:, -2:]
    bound = 2 * np.max(tolerance, axis=1) if isinstance(tolerance, np.ndarray) else tolerance
    if not (top[:, 1] - top[:, 0] > bound).all():
        raise Unproven


def logistic(scores: Array) -> Array:
    """Return 1 / (1 + exp(-scores))."""
    answer: Array = 1.0 / (1.0 + np.exp(np.minimum(-scores, LARGEST_EXPONENT)))
    return answer


def both(positive: Array) -> Array:
    """Return the probabilities `[n, 2]` of a class and its opposite."""
    answer = np.empty((len(positive), 2))
    answer[:, 1] = positive.reshape(-1)
    np.subtract(1.0, answer[:, 1], out=answer[:, 0])
    return answer


def softmax(scores: Array) -> Array:
    """Return exp(scores) so that each row adds up to 1."""
    powers = np.exp(scores - np.maximum.reduce(scores, axis=1, keepdims=True))
    answer: Array = powers / np.add.reduce(powers, axis=1, keepdims=True)
    return answer


def _two_logistic(scores: Array) -> Array:
    return both(logistic(scores))


def _one_against_rest(scores: Array) -> Array:
    each = logistic(scores)
    total = each.sum(axis=1, keepdims=True)
    if not total.all():
        none = total[:, 0] == 0
        each[none], total[none] = 1.0, each.shape[1]
    answer: Array = each / total
    return answer


def _two_softmax(scores: Array) -> Array:
    lone = scores.reshape(-1, 1)
    return softmax(np.concatenate([-lone, lone], axis=1))


LINKS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda scores: scores,
    "logistic": _two_logistic,
    "softmax": softmax,
    "two-softmax": _two_softmax,
    "one-against-rest": _one_against_rest,
    "both": both,
}
"""From scores to probabilities, by the name that plan files give it."""
