"""How long things take, in buckets, so that quantiles over many workers and hosts can be told."""

from bisect import bisect_left
from collections.abc import Sequence

SECONDS = 1_000_000_000
BOUNDS_SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""Where the buckets end; what takes longer has one more. From a lone request of the express lane to the deadline."""

_BOUNDS = tuple(round(bound * SECONDS) for bound in BOUNDS_SECONDS)


class Durations:
    """Counts nanoseconds in buckets; whoever adds holds a lock."""

    __slots__ = ("_buckets", "_ns")

    def __init__(self) -> None:
        self._ns = 0
        self._buckets = [0] * (len(_BOUNDS) + 1)

    def add(self, ns: int, count: int = 1) -> None:
        """Add something that took so long, as often as `count`."""
        self._ns += count * ns
        self._buckets[bisect_left(_BOUNDS, ns)] += count

    def add_all(self, each: Sequence[int]) -> None:
        """Add several; most often they fall into one bucket, which costs no look at each."""
        if len(each) == 1:
            self.add(each[0])
            return
        self._ns += sum(each)
        first = bisect_left(_BOUNDS, min(each))
        if first == bisect_left(_BOUNDS, max(each)):
            self._buckets[first] += len(each)
        else:
            for ns in each:
                self._buckets[bisect_left(_BOUNDS, ns)] += 1

    def row(self) -> list[int]:
        """Return the sum in nanoseconds, then how many fell into each bucket: numbers that add up over workers."""
        return [self._ns, *self._buckets]
