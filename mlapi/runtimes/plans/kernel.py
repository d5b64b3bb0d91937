"""Support vector machines (Chang & Lin 2011, LIBSVM, doi:10.1145/1961189.1961199, sections 2 and 7)."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mlapi.inference.values import Array
from mlapi.runtimes.plans.linear import ROUNDING, products
from mlapi.runtimes.plans.shapes import check_finite
from mlapi.runtimes.plans.step import Step, Unproven, step

CHUNK = 2**18
"""Numbers of rows minus support vectors that are held at a time."""


@step("kernel")
@dataclass(eq=False)
class Kernel(Step):
    """Kernel values of a row and every support vector `[m, k]`, times `weights` `[outputs, m]`, plus `offsets`."""

    vectors: Array
    weights: Array
    offsets: Array
    kernel: str
    gamma: float
    start: float
    degree: int

    def __post_init__(self) -> None:
        if self.kernel not in {"linear", "rbf", "poly", "sigmoid"}:
            raise ValueError(self.kernel)
        self._across = np.ascontiguousarray(self.weights.T)
        self._sizes = np.abs(self._across)
        self._vectors_across = np.ascontiguousarray(self.vectors.T)

    def __call__(self, rows: Array) -> Array:
        """Return `[n, outputs]`. Raises ModelRefusedInput where a number is not finite."""
        return products(self._values(rows), self._across) + self.offsets

    def tolerance(self, rows: Array) -> Array:
        """Return how far rounding may move each score."""
        answer: Array = ROUNDING * (products(np.abs(self._values(rows)), self._sizes) + np.abs(self.offsets))
        return answer

    def _values(self, rows: Array) -> Array:
        total = float(np.vdot(rows, rows))
        if total - total != 0.0:
            check_finite(rows, missing=False)
        if self.kernel == "rbf":
            some = max(1, CHUNK // self.vectors.size)
            parts = [self._near(rows[begin : begin + some]) for begin in range(0, len(rows), some)]
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        inner = products(rows, self._vectors_across)
        if self.kernel == "linear":
            return inner
        inner = self.gamma * inner + self.start
        return np.tanh(inner) if self.kernel == "sigmoid" else _power(inner, self.degree)

    def _near(self, rows: Array) -> Array:
        apart = rows[:, None, :] - self.vectors
        answer: Array = np.exp(-self.gamma * np.vecdot(apart, apart))
        return answer


@step("votes")
@dataclass(eq=False)
class Votes(Step):
    """The votes of one classifier for each pair of `classes`; a score above 0 is one for the first of the pair."""

    model: Kernel
    classes: int

    def __call__(self, rows: Array) -> Array:
        """Return `[n, classes]`; Unproven where rounding could turn a vote."""
        scores = self.model(rows)
        if (np.abs(scores) <= self.model.tolerance(rows)).any():
            raise Unproven
        return _votes(scores > 0, self.classes)


@step("one-versus-rest")
@dataclass(eq=False)
class OneVersusRest(Step):
    """The `decision_function` of a classifier of more than two classes: its votes, and how sure they were."""

    model: Step
    classes: int

    def __call__(self, rows: Array) -> Array:
        """Return `[n, classes]`."""
        scores = self.model(rows)
        sums = np.zeros((len(rows), self.classes))
        for pair, (one, other) in enumerate(combinations(range(self.classes), 2)):
            sums[:, one] += scores[:, pair]
            sums[:, other] -= scores[:, pair]
        answer: Array = _votes(scores >= 0, self.classes) + sums / (3 * (np.abs(sums) + 1))
        return answer


def _power(base: Array, exponent: int) -> Array:
    """Return a whole power by squaring, as LIBSVM's powi does."""
    answer = np.ones_like(base)
    while exponent > 0:
        if exponent % 2:
            answer = answer * base
        base, exponent = base * base, exponent // 2
    return answer


def _votes(first: Array, classes: int) -> Array:
    votes = np.zeros((len(first), classes))
    for pair, (one, other) in enumerate(combinations(range(classes), 2)):
        votes[:, one] += first[:, pair]
        votes[:, other] += ~first[:, pair]
    return votes
