"""How long predictions take here, by batch size."""

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping

import numpy as np

from mlapi.inference.values import Array, rows_of

SIZES = (1, 8, 64, 1000)
BUDGET = 60_000_000
TRIES = 5


def measured(
    predict: Callable[[Mapping[str, Array]], object], inputs: Mapping[str, Array], budget: int = BUDGET,
) -> dict[int, int]:
    """Return ns by batch size, the least of up to five tries each; rows are those of `inputs`, over and over.

    Sizes that would go beyond the `budget` in ns, judged by the size before, are left out.
    """
    found: dict[int, int] = {}
    end = time.perf_counter_ns() + budget
    rows = rows_of(inputs)
    last_size = 0
    for size in SIZES:
        left = end - time.perf_counter_ns()
        if found and found[last_size] * size // last_size > 4 * left:
            break
        batch = {name: array[np.arange(size) % rows] for name, array in inputs.items()}
        found[size] = _least(predict, batch, time.perf_counter_ns() + left // 3)
        last_size = size
    return found


def _least(predict: Callable[[Mapping[str, Array]], object], batch: Mapping[str, Array], end: int) -> int:
    least = 0
    for _ in range(TRIES):
        begin = time.perf_counter_ns()
        predict(batch)
        now = time.perf_counter_ns()
        least = min(least or now - begin, now - begin)
        if now > end:
            break
    return least


def expected(times: Mapping[int, int], rows: int) -> int | None:
    """Return the ns that `rows` rows take, between the sizes that were measured; None where none was."""
    if not times:
        return None
    sizes = sorted(times)
    place = bisect_left(sizes, rows)
    if place == 0:
        return times[sizes[0]]
    if place == len(sizes):
        return times[sizes[-1]] * rows // sizes[-1]
    low, high = sizes[place - 1], sizes[place]
    return times[low] + (times[high] - times[low]) * (rows - low) // (high - low)
