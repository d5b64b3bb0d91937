"""How many units and days the success metric of a rollout needs, before it starts.

A fixed test of two means needs (z_{1-alpha/2} + z_power)^2 (v_c / (1-w) + v_t / w) / mde^2 units in total.
One that may be looked at any time needs so many times as many as `FACTORS` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mlapi.rollouts.effects import Boundary, Mode

DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Factors:
    """Samples over that of a fixed test: the most for the power, and where half have stopped, and the mean."""

    most: float
    median: float
    mean: float


FACTORS: dict[tuple[Mode, float, float], Factors] = {
    ("always_valid", 0.01, 0.8): Factors(1.50, 0.95, 0.96),
    ("always_valid", 0.01, 0.9): Factors(1.45, 0.75, 0.80),
    ("always_valid", 0.01, 0.95): Factors(1.41, 0.63, 0.69),
    ("always_valid", 0.05, 0.8): Factors(1.65, 0.95, 0.99),
    ("always_valid", 0.05, 0.9): Factors(1.57, 0.73, 0.81),
    ("always_valid", 0.05, 0.95): Factors(1.52, 0.60, 0.68),
    ("always_valid", 0.1, 0.8): Factors(1.76, 0.96, 1.02),
    ("bounded", 0.01, 0.8): Factors(1.16, 0.74, 0.76),
    ("bounded", 0.01, 0.9): Factors(1.15, 0.61, 0.65),
    ("bounded", 0.01, 0.95): Factors(1.14, 0.53, 0.58),
    ("bounded", 0.05, 0.8): Factors(1.19, 0.70, 0.74),
    ("bounded", 0.05, 0.9): Factors(1.18, 0.57, 0.62),
    ("bounded", 0.05, 0.95): Factors(1.17, 0.49, 0.55),
    ("bounded", 0.1, 0.8): Factors(1.21, 0.69, 0.73),
}
"""By mode, alpha and power: exact recursion (Armitage, McPherson & Rowe, JRSS-A 1969), in
benchmarks/rollouts/boundary.py."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The variances of one unit in each arm."""

    control: float
    candidate: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """A step of the ramp: the candidate's share, strictly between 0 and 1, and its length in days.

    The last step lasts as long as the metric needs.
    """

    share: float
    days: float = 0.0


@dataclass(frozen=True, slots=True)
class Planned:
    """What a metric needs. Units are all that are divided, of both arms; days begin with the rollout.

    `tuned` is for `effects.Boundary`: units as if half of them had the candidate. Days contain the window in which
    the outcome of the last unit may still come.
    """

    mode: Mode
    alpha: float
    power: float
    mde: float
    fixed_units: float
    most_units: float
    median_units: float
    mean_units: float
    most_days: float
    median_days: float
    mean_days: float
    tuned: float

    @property
    def test(self) -> Boundary:
        """The test that was planned."""
        return Boundary(self.alpha, self.mode, self.tuned)


def binary(rate: float, mde: float) -> Spread:
    """Return the variances of a 0/1 metric at a rate, and at that rate and the effect."""
    return Spread(rate * (1 - rate), (rate + mde) * (1 - rate - mde))


def plan(  # noqa: PLR0913 (what a metric is, what it is to find and what it gets: each has a name)
    spread: Spread, mde: float, mode: Mode, ramp: Sequence[Exposure], units_per_day: float, *,
    alpha: float = 0.05, power: float = 0.8, window_seconds: float = 0.0,
) -> Planned:  # fmt: skip
    """Return what a metric needs to find a difference of `mde`, in its own units.

    Units are counted at the share of the last step; those of earlier steps count for as much as they tell:
    a unit at share w tells 4 w (1-w) times what one at 50 % does.

    Raises:
        ValueError: no factors are known for this mode, alpha and power.
    """
    from scipy.stats import norm  # noqa: PLC0415 (see statistics.srm_log_e)

    factors = FACTORS.get((mode, alpha, power))
    if factors is None:
        raise ValueError(f"alpha {alpha:g} with power {power:g} is not planned; known are {_known()}")
    share = ramp[-1].share
    variance = spread.control / (1 - share) + spread.candidate / share
    quantiles = norm.ppf(1 - alpha / 2) + norm.ppf(power)
    fixed = float(quantiles**2 * variance / mde**2)
    most, median, mean = (fixed * factor for factor in (factors.most, factors.median, factors.mean))

    def days(units: float) -> float:
        return _days(units, ramp, units_per_day) + window_seconds / DAY_SECONDS

    tuned = _told(share) * (most if mode == "bounded" else fixed)
    return Planned(mode, alpha, power, abs(mde), fixed, most, median, mean, days(most), days(median), days(mean), tuned)


def _days(units: float, ramp: Sequence[Exposure], units_per_day: float) -> float:
    """Return when as much is known as from `units` at the last step's share."""
    wanted, passed = units * _told(ramp[-1].share), 0.0
    for step in ramp[:-1]:
        speed = units_per_day * _told(step.share)
        if wanted <= speed * step.days:
            return passed + wanted / speed
        wanted, passed = wanted - speed * step.days, passed + step.days
    return passed + wanted / (units_per_day * _told(ramp[-1].share))


def _told(share: float) -> float:
    return 4 * share * (1 - share)


def _known() -> str:
    pairs = sorted({(alpha, power) for _, alpha, power in FACTORS})
    return ", ".join(f"alpha {alpha:g} with power {power:g}" for alpha, power in pairs)
