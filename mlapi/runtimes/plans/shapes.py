"""Steps that choose, join and order columns, and those that come one after the other."""

from dataclasses import dataclass, field

import numpy as np

from mlapi.errors import ModelRefusedInput
from mlapi.inference.values import Array
from mlapi.runtimes.plans.step import Edges, Rows, Step, Unproven, step

EXACT = 2**53
"""Whole numbers up to here are the same in FP64 (IEEE 754, binary64)."""


@step("chain")
@dataclass(eq=False)
class Chain(Step):
    """Steps one after the other."""

    steps: tuple[Step, ...]

    def __call__(self, rows: Rows) -> Rows:
        """Return what the last step makes of the rows."""
        for one in self.steps:
            rows = one(rows)
        return rows

    def edges(self) -> Edges:
        """Return the edges of every step, seen from the first one's columns."""
        found: Edges = {}
        for one in reversed(self.steps):
            found = merged(one.back(found), one.edges())
        return found

    def back(self, edges: Edges) -> Edges:
        """Go back through every step."""
        for one in reversed(self.steps):
            edges = one.back(edges)
        return edges


@step("stack")
@dataclass(eq=False)
class Stack(Step):
    """A table of numeric columns becomes a float matrix."""

    def __call__(self, rows: Rows) -> Array:
        """Return the columns side by side; Unproven for whole numbers that FP64 does not hold."""
        matrix = np.empty((len(rows[0]), len(rows)))
        for place, column in enumerate(rows):
            if column.dtype.kind in "iu" and (column.min() < -EXACT or column.max() > EXACT):
                raise Unproven
            matrix[:, place] = column
        return matrix

    def back(self, edges: Edges) -> Edges:
        """The columns stay where they are."""
        return edges


@step("split")
@dataclass(eq=False)
class Split(Step):
    """A matrix becomes a table of its columns."""

    def __call__(self, rows: Array) -> list[Array]:
        """Return the columns."""
        return list(rows.T)

    def back(self, edges: Edges) -> Edges:
        """The columns stay where they are."""
        return edges


@step("pick")
@dataclass(eq=False)
class Pick(Step):
    """Some columns, in an order of their own."""

    places: tuple[int, ...]
    table: bool

    def __post_init__(self) -> None:
        self._index = np.array(self.places, dtype=np.intp)

    def __call__(self, rows: Rows) -> Rows:
        """Return the columns at `places`."""
        return [rows[place] for place in self.places] if self.table else rows.take(self._index, axis=1)

    def back(self, edges: Edges) -> Edges:
        """Give each column the number it had before."""
        found: Edges = {}
        for place, values in edges.items():
            found = merged(found, {self.places[place]: values})
        return found


@step("union")
@dataclass(eq=False)
class Union(Step):
    """What several steps make of the same rows, side by side; `widths` are their numbers of columns."""

    steps: tuple[Step, ...]
    widths: tuple[int, ...]

    def __call__(self, rows: Rows) -> Array:
        """Return one matrix."""
        return np.concatenate([one(rows) for one in self.steps], axis=1)

    def edges(self) -> Edges:
        """Return the edges of all."""
        found: Edges = {}
        for one in self.steps:
            found = merged(found, one.edges())
        return found

    def back(self, edges: Edges) -> Edges:
        """Give every part what is its own, and go back through it."""
        found: Edges = {}
        start = 0
        for one, width in zip(self.steps, self.widths, strict=True):
            own = {place - start: values for place, values in edges.items() if start <= place < start + width}
            found = merged(found, one.back(own))
            start += width
        return found


@step("finite")
@dataclass(eq=False)
class Finite(Step):
    """Rows are refused as scikit-learn's check_array refuses them; missing values too, unless allowed."""

    missing: bool = field(default=False)

    def __call__(self, rows: Array) -> Array:
        """Return the rows; ModelRefusedInput where a number is infinite, or missing where none may be."""
        total = float(np.vdot(rows, rows))  # the quickest way to see what is not finite, or huge
        if total - total != 0.0:
            check_finite(rows, missing=self.missing)
        return rows

    def back(self, edges: Edges) -> Edges:
        """Nothing changes."""
        return edges


def check_finite(rows: Array, *, missing: bool, datatype: str = "float64") -> None:
    """Raise ModelRefusedInput, in scikit-learn's words, for infinite values, and missing ones unless allowed."""
    if not missing and np.isnan(rows).any():
        msg = "Input X contains NaN."
        raise ModelRefusedInput(msg)
    if np.isinf(rows).any():
        msg = f"Input X contains infinity or a value too large for dtype('{datatype}')."
        raise ModelRefusedInput(msg)


def merged(one: Edges, other: Edges) -> Edges:
    """Return the edges of both."""
    both = dict(one)
    for place, values in other.items():
        both[place] = np.concatenate([both[place], values]) if place in both else values
    return both
