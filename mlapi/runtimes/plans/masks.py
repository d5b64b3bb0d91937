"""Small trees by bit masks: which leaves the value of each column leaves open, for all trees at once.

After QuickScorer (Lucchese et al., SIGIR 2015, doi:10.1145/2766462.2767733), with a mask for both
outcomes of every comparison, so that the leaf reached is the only bit left. Columns are looked up
among their sorted thresholds first; thresholds, categories and missing values are all one table.
"""

from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

from mlapi.inference.values import Array

if TYPE_CHECKING:
    from mlapi.runtimes.plans.trees import Trees

MOST_LEAVES = 64
LARGEST_TABLE = 32 * 2**20
FEW_ROWS = 12
"""Up to here looking values up one by one is faster than by numpy."""
CHUNK_BYTES = 2**19


def fits(trees: "Trees") -> bool:
    """Tell whether masks of 64 bits and a table of moderate size hold these trees."""
    leaf = trees.left == np.arange(len(trees.left))
    sizes = np.diff([*trees.roots.tolist(), len(leaf)])
    if sizes.min() < 1 or (sizes.max() + 1) // 2 > MOST_LEAVES:
        return False
    columns, inner = np.unique(trees.feature[~leaf]), ~leaf
    lines = sum(len(np.unique(trees.threshold[inner & (trees.feature == column)])) + 2 for column in columns)
    if trees.category is not None:
        lines += 256 * len(columns)
    return bool(lines * len(sizes) * _type((sizes.max() + 1) // 2).itemsize <= LARGEST_TABLE)


class LeafMasks:
    """The table of masks of some trees, whose nodes stand tree by tree."""

    def __init__(self, trees: "Trees") -> None:
        leaf = trees.left == np.arange(len(trees.left))
        self._bounds = [*trees.roots.tolist(), len(leaf)]
        sizes = np.diff(self._bounds)
        self._kind = _type((sizes.max() + 1) // 2)
        bits, self._leaf_of = self._numbered(leaf, trees.roots)
        below = _below(trees.left, leaf, bits)
        self._open = below[np.asarray(trees.roots)].astype(self._kind)
        self._columns: list[tuple[int, list[float], Array, int, bool]] = []
        tables = []
        start = 0
        for column in np.unique(trees.feature[~leaf]).tolist():
            nodes = np.flatnonzero(~leaf & (trees.feature == column))
            coded = trees.category is not None and bool((trees.category[nodes] >= 0).any())
            limits = np.arange(256.0) if coded else np.unique(trees.threshold[nodes])
            table = self._table(trees, nodes, limits, below, coded=coded)
            self._columns.append((column, limits.tolist(), limits, start, coded))
            start += len(table)
            tables.append(table)
        self._lines = np.concatenate(tables) if tables else np.empty((0, len(sizes)), self._kind)
        self._trees = np.arange(len(sizes), dtype=np.intp) * MOST_LEAVES
        self._some = max(1, CHUNK_BYTES // max(1, len(self._columns) * len(sizes) * self._kind.itemsize))

    def leaves(self, rows: Array, *, gaps: bool) -> Array:
        """Return the node of the leaf that each row reaches in each tree, as `[trees * n]`, tree by tree."""
        found = np.empty((len(rows), len(self._trees)), dtype=np.intp)
        if not self._columns:
            found[:] = self._leaf_of[self._trees]
            return found.T.reshape(-1)
        lines = self._found(rows, gaps=gaps)
        for begin in range(0, len(rows), self._some):
            part = lines[begin : begin + self._some]
            masks = self._lines.take(part.reshape(-1), axis=0).reshape(*part.shape, -1)
            left = np.bitwise_and.reduce(masks, axis=1)
            # A power of two in binary64 has its exponent, plus 1023, in the bits above the 52nd.
            places = (left.astype("f8").view("i8") >> 52) - 1023
            places += self._trees
            found[begin : begin + self._some] = self._leaf_of.take(places)
        return found.T.reshape(-1)

    def _found(self, rows: Array, *, gaps: bool) -> Array:
        """Return the line of the table for each row and column, `[n, columns]`."""
        if len(rows) <= FEW_ROWS:
            return np.array([self._line_of(row) for row in rows.tolist()], dtype=np.intp)
        lines = np.empty((len(rows), len(self._columns)), dtype=np.intp)
        for place, (column, _, limits, start, _) in enumerate(self._columns):
            values = rows[:, column]
            lines[:, place] = limits.searchsorted(values)
            if gaps:
                lines[np.isnan(values), place] = len(limits) + 1
            lines[:, place] += start
        return lines

    def _line_of(self, row: list[float]) -> list[int]:
        found = []
        for column, limits, _, start, _ in self._columns:
            value = row[column]
            found.append(start + (bisect_left(limits, value) if value == value else len(limits) + 1))  # noqa: PLR0124 (NaN)
        return found

    def _numbered(self, leaf: Array, roots: Array) -> tuple[Array, Array]:
        """Return a bit of its own, within its tree, for every leaf, and the leaf of every tree and bit."""
        order = np.cumsum(leaf) - leaf
        tree = np.repeat(np.arange(len(roots)), np.diff(self._bounds))
        place = order - order[np.asarray(roots)][tree]
        bits = np.where(leaf, np.left_shift(np.uint64(1), np.where(leaf, place, 0).astype("u8")), np.uint64(0))
        table = np.zeros(len(roots) * MOST_LEAVES, dtype=np.intp)
        table[(tree * MOST_LEAVES + place)[leaf]] = np.flatnonzero(leaf)
        return bits, table

    def _table(self, trees: "Trees", nodes: Array, limits: Array, below: Array, *, coded: bool) -> Array:
        """Return by place among the limits, and for missing values last, the leaves that stay open in each tree."""
        table = np.tile(self._open, (len(limits) + 2, 1))
        tree = np.searchsorted(self._bounds, nodes, side="right") - 1
        left, right = below[trees.left[nodes]], below[trees.left[nodes] + 1]
        not_left, not_right = (~left).astype(self._kind), (~right).astype(self._kind)
        places = np.searchsorted(limits, trees.threshold[nodes])
        for node, t, place, shut_left, shut_right in zip(nodes, tree, places, not_left, not_right, strict=True):
            if coded and trees.category is not None and trees.category[node] >= 0 and trees.sets is not None:
                goes_left = trees.sets[trees.category[node]].astype(bool)
                table[:256, t] &= np.where(goes_left, shut_right, shut_left)
            else:
                table[: place + 1, t] &= shut_right
                table[place + 1 : -1, t] &= shut_left
            table[-1, t] &= shut_left if trees.missing_right[node] else shut_right
        return table


def _below(left: Array, leaf: Array, bits: Array) -> Array:
    """Return the leaves under each node; children stand behind their parents."""
    below = bits.copy()
    inner = np.flatnonzero(~leaf)
    for node in inner[::-1].tolist():
        below[node] = below[left[node]] | below[left[node] + 1]
    return below


def _type(leaves: int) -> "np.dtype[np.unsignedinteger]":
    return np.dtype("u1" if leaves <= 8 else "u2" if leaves <= 16 else "u4" if leaves <= 32 else "u8")  # noqa: PLR2004 (bits)
