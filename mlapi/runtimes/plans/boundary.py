"""Rows on which a plan must show itself: reference rows, and rows at the edges of what it distinguishes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlapi.inference.signature import Signature, TensorSpec
from mlapi.inference.values import Array, rows_of
from mlapi.runtimes.plans.step import Edges

BASES = 8
MOST_COLUMNS = 24
MOST_EDGES = 6
MOST_CATEGORIES = 20
LARGE = (0.0, -0.0, 5e-324, 1e-300, -1.0, 1e6, -1e6, 1e15, -1e15)
RISKY = (float("inf"), float("-inf"), 3.4028235677973366e38, 1e39, -1e300)
WHOLE = (0, -1, 1, 2**31, -(2**31), 2**53)
RISKY_WHOLE = (2**53 + 1, -(2**63), 2**63 - 1)
STRANGE = ("", "\x00nobody has seen this", "ÿ" * 40)
Rows = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Boundary:
    """Rows that the estimator probably answers, and rows that it may refuse."""

    plain: Rows
    risky: Rows


def boundary(inputs: Mapping[str, Array], signature: Signature, edges: Edges) -> Boundary:
    """Return rows made of reference rows, with one cell each replaced by a value at an edge of some kind."""
    cells = _Cells(inputs, signature)
    plain, risky = [], []
    for column in _some(cells.width, MOST_COLUMNS):
        plain += [(column, value) for value in cells.plain(column)]
        risky += [(column, value) for value in cells.risky(column)]
    for column in [column for column in sorted(edges) if column < cells.width][:MOST_COLUMNS]:
        plain += [(column, value) for value in cells.around(column, edges[column])]
    return Boundary(cells.rows(plain), cells.rows(risky))


class _Cells:
    """The cells of a table or a matrix, by column number."""

    def __init__(self, inputs: Mapping[str, Array], signature: Signature) -> None:
        self._matrix = signature.form == "matrix"
        self._specs = signature.inputs
        self.width = signature.inputs[0].width if self._matrix else len(signature.inputs)
        keep = _some(rows_of(inputs), BASES)
        self._bases = {name: array[keep] for name, array in inputs.items()}

    def spec(self, column: int) -> TensorSpec:
        return self._specs[0 if self._matrix else column]

    def plain(self, column: int) -> Iterator[Any]:
        spec = self.spec(column)
        if spec.datatype == "BYTES":
            yield from (spec.categories or ())[:MOST_CATEGORIES]
        elif spec.datatype == "BOOL":
            yield from (True, False)
        elif spec.datatype.startswith("FP"):
            yield from LARGE
            if spec.nullable:
                yield np.nan
        else:
            yield from (value for value in WHOLE if _holds(spec, value))

    def risky(self, column: int) -> Iterator[Any]:
        spec = self.spec(column)
        if spec.datatype == "BYTES":
            if spec.nullable:
                yield None
            if spec.unseen != "refuse" or not spec.categories:
                yield from STRANGE
        elif spec.datatype.startswith("FP"):
            yield from RISKY
        elif spec.datatype != "BOOL":
            yield from (value for value in RISKY_WHOLE if _holds(spec, value))

    def around(self, column: int, values: Array) -> Iterator[Any]:
        """Yield some of the values themselves, and their neighbours in FP64 and FP32 on both sides."""
        spec = self.spec(column)
        for value in values[_some(len(values), MOST_EDGES)].tolist():
            if spec.datatype.startswith("FP"):
                yield from (value, np.nextafter(value, -np.inf), np.nextafter(value, np.inf))
                with np.errstate(over="ignore"):
                    narrow = np.float32(value)
                    yield from map(float, (narrow, np.nextafter(narrow, np.float32(-np.inf)),
                                           np.nextafter(narrow, np.float32(np.inf))))  # fmt: skip
            elif spec.datatype not in {"BYTES", "BOOL"} and abs(value) < 2**31:
                yield from (whole for whole in (int(np.floor(value)), int(np.ceil(value))) if _holds(spec, whole))

    def rows(self, cells: list[tuple[int, Any]]) -> Rows:
        """Return one row a cell, each a base row with that cell replaced."""
        bases = rows_of(self._bases)
        of = np.arange(len(cells)) % bases
        made = {name: array[of].copy() for name, array in self._bases.items()}
        for row, (column, value) in enumerate(cells):
            if self._matrix:
                made[self._specs[0].name][row, column] = value
            else:
                made[self._specs[column].name][row] = value
        return made


def _holds(spec: TensorSpec, value: int) -> bool:
    signed, bits = not spec.datatype.startswith("U"), int(spec.datatype.lstrip("UINT"))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return bool(low <= value <= high)


def _some(count: int, most: int) -> Array:
    """Return up to `most` indices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)) if count else np.empty(0, int)
