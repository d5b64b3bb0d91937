"""Whether the candidate is better: what settled units say of the metric, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass

from mlapi.rollouts import effects, statistics
from mlapi.rollouts.document import CANDIDATE, CONTROL, LABELLED, Metric
from mlapi.rollouts.effects import Boundary, Verdict
from mlapi.rollouts.ledger import Settled
from mlapi.rollouts.statistics import Moments

FIXED_UNITS = 31.4
"""(z.975 + z.8)^2 x 4: units that a test at one moment needs to see a difference of one standard deviation."""


@dataclass(frozen=True, slots=True)
class Success:
    """How the metric stands; differences are candidate minus control.

    `settled` and `means` are by arm; `units` is the size of the comparison as if half had the candidate; `shown`
    says whether the interval is good enough to be looked at yet; `spent` whether a bounded test has had all its
    units. `p_coverage` is the p-value of "both arms got outcomes equally often", where an
    outcome may be missing.
    """

    settled: Mapping[str, int]
    means: Mapping[str, float]
    verdict: Verdict = ""
    units: float = 0.0
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    e_value: float = 1.0
    shown: bool = False
    spent: bool = False
    p_coverage: float = 1.0
    conflicts: int = 0

    def plain(self) -> dict[str, float]:
        """Return the numbers by name, as the trace keeps them."""
        known = {"units": self.units, "difference": self.difference, "lower": self.lower, "upper": self.upper,
                 "e_value": self.e_value, "shown": float(self.shown), "spent": float(self.spent),
                 "p_coverage": self.p_coverage, "conflicts": float(self.conflicts)}  # fmt: skip
        arms = {f"settled_{arm}": float(count) for arm, count in self.settled.items()}
        means = {f"mean_{arm}": mean for arm, mean in self.means.items()}
        return {name: value for name, value in {**known, **arms, **means}.items() if value is not None}


def stand(metric: Metric, settled: Settled) -> Success:
    """Return how the metric of a rollout stands by the units that are settled."""
    strata = list(settled.moments.values())
    binary = metric.kind in {"binary", "accuracy"}
    covered = statistics.p_value(statistics.srm_log_e(settled.labelled)) if metric.kind in LABELLED else 1.0
    test = Boundary(metric.alpha, "bounded" if metric.mode == "bounded" else "always_valid", _tuned(metric, strata))
    found = effects.effect(strata, test, binary=binary)
    means = {arm: total / number for arm, (number, total, _) in _totals(strata).items() if number}
    known = Success(settled.units, means, p_coverage=covered, conflicts=settled.conflicts)
    if found is None:
        return known
    verdict = effects.verdict(found, metric.goal, metric.direction, metric.margin)  # type: ignore[arg-type]  # both are of the schema's words
    spent = metric.mode == "bounded" and found.units >= (metric.max_samples or 0)
    return Success(
        known.settled, means, verdict, found.units, found.difference, found.lower, found.upper, found.e_value,
        found.shown, spent, covered, settled.conflicts,
    )


def _tuned(metric: Metric, strata: list[Moments]) -> float:
    """Return the size for which the interval is narrowest.

    In a bounded test its end; else what one look would need to find the least difference worth finding, so that
    in effect the size of that difference stays fixed, whatever the variance turns out to be.
    """
    if metric.mode == "bounded":
        return float(metric.max_samples or 1)
    number = total = squares = 0.0
    for arm in _totals(strata).values():
        number, total, squares = number + arm[0], total + arm[1], squares + arm[2]
    variance = max(0.0, squares / number - (total / number) ** 2) if number else 0.0
    return max(1.0, FIXED_UNITS * variance / metric.mde**2)


def _totals(strata: list[Moments]) -> dict[str, tuple[float, float, float]]:
    return {
        arm: tuple(map(sum, zip(*parts, strict=True))) if parts else (0.0, 0.0, 0.0)  # type: ignore[misc]  # three sums
        for arm, parts in ((CONTROL, [one.control for one in strata]), (CANDIDATE, [one.candidate for one in strata]))
    }
