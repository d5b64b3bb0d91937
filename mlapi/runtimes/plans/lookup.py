"""Steps for texts and other categories: gaps filled, categories looked up in dictionaries."""

from dataclasses import dataclass

import numpy as np

from mlapi.errors import ModelRefusedInput
from mlapi.inference.values import Array
from mlapi.runtimes.plans.step import Step, step

Category = str | int | float | None
"""A category as JSON holds it; None is a missing value."""

NOWHERE = -1
REFUSED = -2


@step("fill")
@dataclass(eq=False)
class Fill(Step):
    """Missing texts are replaced, column by column."""

    texts: tuple[str, ...]

    def __call__(self, rows: list[Array]) -> list[Array]:
        """Return the columns without gaps."""
        return [_filled(column, text) for column, text in zip(rows, self.texts, strict=True)]


def _filled(column: Array, text: str) -> Array:
    values = column.tolist()
    if None not in values:
        return column
    filled = np.empty(len(values), dtype=object)
    filled[:] = [text if value is None else value for value in values]
    return filled


@step("one-hot")
@dataclass(eq=False)
class OneHot(Step):
    """Each category is a 1 at its place in a row of `width` zeros.

    `places` are those of `categories`, column by column; -1 is no place at all. `unknown` is the place
    of others in each column; -2 refuses them.
    """

    categories: tuple[tuple[Category, ...], ...]
    places: tuple[tuple[int, ...], ...]
    unknown: tuple[int, ...]
    width: int

    def __post_init__(self) -> None:
        self._tables = tuple(
            (dict(zip(known, places, strict=True)), other)
            for known, places, other in zip(self.categories, self.places, self.unknown, strict=True)
        )

    def __call__(self, rows: list[Array]) -> Array:
        """Return the matrix of zeros and ones; ModelRefusedInput for a category that is refused."""
        count, width = len(rows[0]), self.width
        matrix = np.zeros((count, width))
        ones: list[int] = []
        for column, (values, (table, other)) in enumerate(zip(rows, self._tables, strict=True)):
            start = 0
            for value in _plain(values):
                place = table.get(value, other)
                if place >= 0:
                    ones.append(start + place)
                elif place == REFUSED:
                    _refuse(value, column)
                start += width
        matrix.reshape(-1)[ones] = 1.0
        return matrix


@step("codes")
@dataclass(eq=False)
class Codes(Step):
    """Each category is a number: `codes` are those of `categories`; others get `unknown`, or are refused."""

    categories: tuple[tuple[Category, ...], ...]
    codes: tuple[Array, ...]
    unknown: Array
    refuses: tuple[bool, ...]

    def __post_init__(self) -> None:
        self._tables = tuple(
            (dict(zip(known, codes.tolist(), strict=True)), None if refuses else other)
            for known, codes, other, refuses in zip(
                self.categories, self.codes, self.unknown.tolist(), self.refuses, strict=True)
        )

    def __call__(self, rows: list[Array]) -> Array:
        """Return one column of numbers a column; ModelRefusedInput for a category that is refused."""
        matrix = np.empty((len(rows[0]), len(rows)))
        for column, (values, (table, other)) in enumerate(zip(rows, self._tables, strict=True)):
            found = [table.get(value, other) for value in _plain(values)]
            if other is None and None in found:
                _refuse(_plain(values)[found.index(None)], column)
            matrix[:, column] = found
        return matrix


def _plain(column: Array) -> list[Category]:
    """Return a column as Python values, missing ones as None."""
    values: list[Category] = column.tolist()
    if column.dtype.kind == "f":
        return [value if value == value else None for value in values]  # noqa: PLR0124 (NaN)
    return values


def _refuse(value: Category, column: int) -> None:
    given = "nan" if value is None else repr(value)
    raise ModelRefusedInput(f"Found unknown categories [{given}] in column {column} during transform"[:300])
