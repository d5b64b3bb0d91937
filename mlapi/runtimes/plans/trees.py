"""Trees, forests and boosted trees over flat arrays, which may lie in a mapped file.

The sums run tree by tree, as scikit-learn's do, so that the answers are the same to the last bit.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mlapi.inference.values import Array
from mlapi.runtimes.plans.masks import LeafMasks, fits
from mlapi.runtimes.plans.shapes import check_finite
from mlapi.runtimes.plans.step import Edges, Step, step

CHUNK = 16_384
"""Row-and-tree pairs that are walked together: what their arrays take stays within a core's cache."""
REMEMBERED = 65
"""Batches below this many rows find their index arrays made."""


@step("trees")
@dataclass(eq=False)
class Trees(Step):
    """The sum of `start` and the leaves that a row reaches in every tree, divided by `divisor`.

    Node i compares column `feature[i]` with `threshold[i]`; larger goes to node `left[i]` + 1, others to
    `left[i]`, missing to the right where `missing_right[i]`; a leaf leads to itself. Where
    `category[i]` >= 0, codes in that row of `sets` go to the left. Tree t begins at `roots[t]`; its leaves
    hold `values[i]`: one number, for output t modulo the number of outputs, or all of them.

    `narrow` rounds inputs to FP32 as scikit-learn's trees do; `missing` and `infinite` say what is allowed.
    """

    feature: Array
    threshold: Array
    left: Array
    missing_right: Array
    category: Array | None
    sets: Array | None
    roots: Array
    values: Array
    start: Array
    divisor: float
    width: int
    narrow: bool
    missing: bool
    infinite: bool

    in_chunks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        count, leaf = len(self.feature), self.left == np.arange(len(self.left), dtype=self.left.dtype)
        inner = self.left[~leaf]
        lost = [
            inner.size > 0 and (inner.min() <= 0 or inner.max() >= count - 1),
            self.feature.min() < 0 or self.feature.max() >= self.width,
            self.roots.min() < 0 or self.roots.max() >= count,
        ]
        if any(lost):
            msg = "a node of a tree leads nowhere"
            raise ValueError(msg)
        self._depth = _depth(self.left, self.roots)
        self._masks = LeafMasks(self) if fits(self) else None
        if self._masks is None and self.category is not None:
            msg = "trees with categories have more leaves than masks have bits"
            raise ValueError(msg)
        self._indices: dict[int, tuple[Array, Array]] = {}

    def __call__(self, rows: Array) -> Array:
        """Return `[n, outputs]`. Raises ModelRefusedInput for infinite and missing numbers, unless allowed."""
        if self.narrow:
            rows = rows.astype("f4").astype("f8")
        total = float(np.vdot(rows, rows))
        gaps = False
        if total - total != 0.0:
            if not self.infinite:
                check_finite(rows, missing=self.missing, datatype="float32" if self.narrow else "float64")
            gaps = bool(np.isnan(rows).any())
        if self._masks is not None:
            return self._summed(self._masks.leaves(rows, gaps=gaps), len(rows))
        most = max(1, CHUNK // len(self.roots))
        if len(rows) <= most:
            return self._summed(self._walk(rows, gaps=gaps), len(rows))
        parts = [rows[begin : begin + most] for begin in range(0, len(rows), most)]
        return np.concatenate([self._summed(self._walk(part, gaps=gaps), len(part)) for part in parts])

    def edges(self) -> Edges:
        """Return the thresholds by column."""
        inner = (self.left != np.arange(len(self.left))) & np.isfinite(self.threshold)
        if self.category is not None:
            inner &= self.category < 0
        return {int(column): np.unique(self.threshold[inner & (self.feature == column)])
                for column in np.unique(self.feature[inner])}  # fmt: skip

    def _walk(self, rows: Array, *, gaps: bool) -> Array:
        """Return the leaf that each row reaches in each tree, as `[trees * n]`, tree by tree."""
        count, width = rows.shape
        node, base = self._begin(count, width)
        flat = np.ascontiguousarray(rows).reshape(-1)
        place, following = np.empty(len(node), np.intp), np.empty(len(node), self.left.dtype)
        column, limit = np.empty(len(node), self.feature.dtype), np.empty(len(node))
        value, right = np.empty(len(node)), np.empty(len(node), bool)
        for _ in range(self._depth):
            self.feature.take(node, out=column, mode="clip")
            np.add(column, base, out=place)
            flat.take(place, out=value, mode="clip")
            self.threshold.take(node, out=limit, mode="clip")
            np.greater(value, limit, out=right)
            if gaps:
                right |= np.isnan(value) & self.missing_right.take(node)
            self.left.take(node, out=following, mode="clip")
            np.add(following, right, out=node)
        return node

    def _begin(self, count: int, width: int) -> tuple[Array, Array]:
        """Return the root of every tree for every row, to be changed, and where each row begins."""
        if count >= REMEMBERED:
            return np.repeat(self.roots, count), np.tile(np.arange(0, count * width, width), len(self.roots))
        if count not in self._indices:
            self._indices[count] = (
                np.repeat(self.roots, count), np.tile(np.arange(0, count * width, width), len(self.roots)),
            )
        roots, base = self._indices[count]
        return roots.copy(), base

    def _summed(self, leaves: Array, count: int) -> Array:
        trees, outputs, wide = len(self.roots), len(self.start), self.values.shape[1]
        rounds = trees * wide // outputs
        summands = np.empty((rounds + 1, outputs // wide, count, wide))
        summands[0] = self.start.reshape(-1, 1, wide)
        self.values.take(leaves, axis=0, out=summands[1:].reshape(-1, wide), mode="clip")
        flat = summands.reshape(rounds + 1, -1)
        # numpy adds rows of more than one number one after the other, a lone column in pairs.
        total = np.add.reduce(flat, axis=0) if flat.shape[1] > 1 else np.add.accumulate(flat, axis=0)[-1]
        if self.divisor != 1.0:
            total /= self.divisor
        answer: Array = total.reshape(count, wide) if wide == outputs else total.reshape(outputs, count).T
        return answer


def _depth(left: Array, roots: Array) -> int:
    """Return how many comparisons the longest way from a root to a leaf has; ValueError where one has no end."""
    level, depth = np.asarray(roots), 0
    while True:
        following = left[level]
        level = level[following != level]
        if not len(level):
            return depth
        level = np.concatenate([left[level], left[level] + 1])
        depth += 1
        if depth > len(left):
            msg = "a tree has no end"
            raise ValueError(msg)
