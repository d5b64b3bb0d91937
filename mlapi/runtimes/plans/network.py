"""Multi-layer perceptrons."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlapi.inference.values import Array
from mlapi.runtimes.plans.heads import logistic, softmax
from mlapi.runtimes.plans.linear import products
from mlapi.runtimes.plans.shapes import check_finite
from mlapi.runtimes.plans.step import Step, step

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda values: values,
    "logistic": logistic,
    "tanh": np.tanh,
    "relu": lambda values: np.maximum(values, 0.0),
    "softmax": softmax,
}


@step("network")
@dataclass(eq=False)
class Network(Step):
    """Layers of weights `[in, out]` and offsets, `hidden` after each but the last, `final` after that."""

    weights: tuple[Array, ...]
    offsets: tuple[Array, ...]
    hidden: str
    final: str

    def __post_init__(self) -> None:
        ways = [self.hidden] * (len(self.weights) - 1) + ["identity"]
        self._layers = tuple(zip(self.weights, self.offsets, (ACTIVATIONS[way] for way in ways), strict=True))
        self._last = ACTIVATIONS[self.final]
        self.ends_in_softmax = self.final == "softmax"

    def __call__(self, rows: Array) -> Array:
        """Return `[n, outputs]`. Raises ModelRefusedInput where a number is not finite."""
        return self._last(self.logits(rows))

    def logits(self, rows: Array) -> Array:
        """Return `[n, outputs]` as they are before the last function; raises as a call does."""
        total = float(np.vdot(rows, rows))
        if total - total != 0.0:
            check_finite(rows, missing=False)
        for weights, offsets, activation in self._layers:
            rows = products(rows, weights)
            rows += offsets
            rows = activation(rows)
        return rows
