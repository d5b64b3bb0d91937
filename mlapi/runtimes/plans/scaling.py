"""Steps for numeric columns: scalers and imputers, in the order of operations that scikit-learn has."""

from dataclasses import dataclass

import numpy as np

from mlapi.inference.values import Array
from mlapi.runtimes.plans.shapes import check_finite
from mlapi.runtimes.plans.step import Edges, Step, step


@step("scale")
@dataclass(eq=False)
class Scale(Step):
    """(rows - minus) / over * times + plus, each where it is given; infinite numbers are refused, missing ones pass."""

    minus: Array | None = None
    over: Array | None = None
    times: Array | None = None
    plus: Array | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        given = ((np.subtract, self.minus), (np.divide, self.over), (np.multiply, self.times), (np.add, self.plus))
        self._operations = tuple((operation, values) for operation, values in given if values is not None)

    def __call__(self, rows: Array) -> Array:
        """Return the rows scaled."""
        total = float(np.vdot(rows, rows))
        if total - total != 0.0:
            check_finite(rows, missing=True)
        out = None
        for operation, values in self._operations:
            out = rows = operation(rows, values, out)  # the first makes an array, which the others may overwrite
        return rows if self.low is None else np.clip(rows, self.low, self.high)

    def back(self, edges: Edges) -> Edges:
        """Undo the operations, the last one first."""
        inverse = {np.subtract: np.add, np.add: np.subtract, np.multiply: np.divide, np.divide: np.multiply}
        found = dict(edges)
        for operation, values in reversed(self._operations):
            found = {place: inverse[operation](old, values[place]) for place, old in found.items()}
        return found


@step("impute")
@dataclass(eq=False)
class Impute(Step):
    """Missing numbers are replaced by `values`; columns at `kept` stay, and those at `marked` get a 0/1 column more."""

    values: Array
    kept: Array | None
    marked: Array | None

    def __call__(self, rows: Array) -> Array:
        """Return the rows without gaps."""
        total = float(np.vdot(rows, rows))
        if total - total == 0.0 and self.marked is None:
            return rows if self.kept is None else rows.take(self.kept, axis=1)
        check_finite(rows, missing=True)
        lacking = np.isnan(rows)
        filled = np.where(lacking, self.values, rows)
        if self.kept is not None:
            filled = filled.take(self.kept, axis=1)
        if self.marked is None:
            return filled
        return np.concatenate([filled, lacking.take(self.marked, axis=1).astype("f8")], axis=1)

    def back(self, edges: Edges) -> Edges:
        """Columns that stayed keep their edges."""
        if self.kept is None:
            return {place: values for place, values in edges.items() if place < len(self.values)}
        return {int(self.kept[place]): values for place, values in edges.items() if place < len(self.kept)}


@step("map")
@dataclass(eq=False)
class Map(Step):
    """One of numpy's functions, element by element."""

    function: str

    FUNCTIONS = ("abs", "arctan", "cbrt", "cos", "exp", "expm1", "log", "log10", "log1p", "log2", "negative", "sign",
                 "sin", "sqrt", "square", "tanh")

    def __post_init__(self) -> None:
        if self.function not in self.FUNCTIONS:
            raise ValueError(self.function)
        self._function = getattr(np, self.function)

    def __call__(self, rows: Array) -> Array:
        """Return the function of every number; what numpy has no value for is NaN, as it is there."""
        answer: Array = self._function(rows)
        return answer
