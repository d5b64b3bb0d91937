"""Linear models: one dot product a row and output, the same whatever else is in the batch."""

from dataclasses import dataclass

import numpy as np

from mlapi.inference.values import Array
from mlapi.runtimes.plans.shapes import check_finite
from mlapi.runtimes.plans.step import Step, step

ROUNDING = 1e-13
"""How far sums may be off that are taken in another order, relative to the sum of what is added, regardless of sign."""


@step("linear")
@dataclass(eq=False)
class Linear(Step):
    """rows · weights + offsets; `weights` are `[outputs, k]`. Numbers that are not finite are refused."""

    weights: Array
    offsets: Array
    flat: bool

    def __post_init__(self) -> None:
        self._lone = np.ascontiguousarray(self.weights[0]) if len(self.weights) == 1 else None
        self._across = np.ascontiguousarray(self.weights.T)
        self._sizes, self._offset_sizes = ROUNDING * np.abs(self._across), ROUNDING * np.abs(self.offsets)
        self._lone_sizes = ROUNDING * np.abs(self.weights[0])

    def __call__(self, rows: Array) -> Array:
        """Return `[n]` where `flat`, else `[n, outputs]`."""
        total = float(np.vdot(rows, rows))
        if total - total != 0.0:
            check_finite(rows, missing=False)
        scores = np.vecdot(rows, self._lone)[:, None] if self._lone is not None else products(rows, self._across)
        scores += self.offsets
        return scores[:, 0] if self.flat else scores

    def tolerance(self, rows: Array) -> Array:
        """Return how far rounding may move each score, `[n, outputs]`."""
        sizes = np.abs(rows)
        if self._lone is not None:
            lone: Array = np.vecdot(sizes, self._lone_sizes)[:, None] + self._offset_sizes
            return lone
        answer: Array = products(sizes, self._sizes) + self._offset_sizes
        return answer


def products(rows: Array, across: Array) -> Array:
    """Return rows · across `[n, m]`, each row a product of its own: BLAS would sum otherwise in another batch."""
    answer: Array = np.matmul(rows[:, None, :], across)[:, 0, :]
    return answer


@step("inverse-link")
@dataclass(eq=False)
class InverseLink(Step):
    """A model whose answer is a function of what `model` gives, as in generalised linear models."""

    model: Step
    function: str

    def __post_init__(self) -> None:
        if self.function not in {"identity", "exp"}:
            raise ValueError(self.function)

    def __call__(self, rows: Array) -> Array:
        """Return the function of the model's numbers."""
        values = self.model(rows)
        answer: Array = values if self.function == "identity" else np.exp(values)
        return answer
