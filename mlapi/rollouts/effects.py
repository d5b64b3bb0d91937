"""The effect of a candidate on a metric: a difference of means whose interval may be looked at at any time.

The normal mixture: z is mixed over effects from N(0, phi^2), which makes its likelihood ratio an asymptotic
e-value (mixture SPRT: Johari et al., doi:10.1287/opre.2021.2135; Howard et al., doi:10.1214/20-AOS1991;
asymptotic confidence sequences: Waudby-Smith et al., arXiv:2103.06476). Strata are the steps of a ramp,
weighted as Cochran, Mantel and Haenszel do, so that a drift between steps is no effect. Differences are
candidate minus control.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mlapi.rollouts.statistics import LARGEST_LOG, Moments

Mode = Literal["always_valid", "bounded"]
Verdict = Literal["win", "harm", ""]
EVENTS = 20
"""Events, and non-events, that the smaller arm of a stratum should have seen before a 0/1 metric counts there."""

UNITS = 1000
"""Units of the smaller arm of a stratum before any other metric counts there: long tails need as many."""

SHOWN_EVENTS = 100
PAIRS = 100
BOUNDED = {0.01: 0.0509, 0.05: 0.1934, 0.10: 0.3262}
"""By alpha the level at which the boundary is crossed with probability alpha from 1 % to 100 % of the units."""

WIDER = 3
"""A bounded test is tuned for this many times its units, which is what the levels above were computed for."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """How an effect is tested.

    `tuned` is the size at which the interval is narrowest, in units as if half of them had the candidate; for
    mode `bounded` it is the size at which the test ends. `alpha` of a bounded test is one of .01, .05 and .10.
    """

    alpha: float
    mode: Mode
    tuned: float

    @property
    def level(self) -> float:
        """Return the level that the boundary is drawn at."""
        return BOUNDED[self.alpha] if self.mode == "bounded" else self.alpha

    @property
    def mixing(self) -> float:
        """Return g, the units at which half of the variance of z is the mixture's; always by the nominal alpha."""
        from scipy.special import lambertw  # noqa: PLC0415 (megabytes that a worker without a rollout never needs)

        optimum = self.tuned * (WIDER if self.mode == "bounded" else 1)
        return optimum / float(-lambertw(-(self.alpha**2) / math.e, -1).real - 1)


@dataclass(frozen=True, slots=True)
class Effect:
    """A difference of means, its interval at all times, and the e-value against no difference.

    `units` is the size of the comparison, as if half of the units had the candidate; `decided` says whether no
    difference is ruled out; `shown` whether the interval is good enough to be read by people.
    """

    difference: float
    lower: float
    upper: float
    e_value: float
    units: float
    decided: bool
    shown: bool


def effect(strata: Iterable[Moments], test: Boundary, *, binary: bool) -> Effect | None:
    """Return the effect over all strata that are past their burn-in; None where none is.

    For a 0/1 metric the e-value takes the variance of both arms pooled, which holds its level from small counts
    on; the interval takes that of each arm.
    """
    settled = [one for one in strata if _is_burnt_in(one, binary=binary)]
    if not settled:
        return None
    total = weight = variance = pooled = events = 0.0
    for one in settled:
        (n_c, mean_c, var_c), (n_t, mean_t, var_t) = _summary(one.control), _summary(one.candidate)
        h = n_c * n_t / (n_c + n_t)
        rate = (one.control[1] + one.candidate[1]) / (n_c + n_t)
        total += h * (mean_t - mean_c)
        weight += h
        variance += h * h * (var_c / n_c + var_t / n_t)
        pooled += h * h * rate * (1 - rate) * (1 / n_c + 1 / n_t)
        events += one.control[1] + one.candidate[1]
    null = pooled if binary else variance
    shown = not binary or test.mode == "always_valid" or events >= SHOWN_EVENTS
    spread = _Spread(variance / weight**2, null / weight**2)
    return _effect(total / weight, spread, 4 * weight, test, shown=shown)


def paired(moments: tuple[float, float, float], test: Boundary) -> Effect | None:
    """Return the mean of paired differences, candidate minus control, from their number, sum and sum of squares.

    None below a hundred pairs that differ at all in sum. `units` are pairs.
    """
    if moments[0] < PAIRS or moments[2] <= 0:
        return None
    number, mean, variance = _summary(moments)
    return _effect(mean, _Spread(variance / number, variance / number), number, test, shown=True)


def verdict(found: Effect, goal: str, direction: str, margin: float) -> Verdict:
    """Return what an effect says of a goal: win, harm, or nothing yet.

    superiority: a difference is shown, in the wanted direction or against it. non_inferiority: worse by less than
    `margin` is shown, or by more. equivalence: within `margin` either way, or outside. `direction` is where better is.
    """
    lower, upper = (found.lower, found.upper) if direction == "up" else (-found.upper, -found.lower)
    if goal == "superiority":
        win, harm = found.decided and lower + upper > 0, found.decided and lower + upper < 0
    elif goal == "non_inferiority":
        win, harm = lower > -margin, upper < -margin
    else:
        win, harm = -margin < lower and upper < margin, lower > margin or upper < -margin
    return "win" if win else "harm" if harm else ""


class _Spread(NamedTuple):
    """The variance of a difference: as it was found, and if there were no difference."""

    found: float
    null: float


def _effect(difference: float, spread: _Spread, units: float, test: Boundary, *, shown: bool) -> Effect:
    g, level = test.mixing, test.level
    constant = math.inf if difference else 0.0  # every unit of an arm the same, a thousand times
    z2 = difference**2 / spread.null if spread.null > 0 else constant
    log_e = 0.5 * math.log(g / (units + g)) + z2 / 2 * units / (units + g)
    half = math.sqrt(spread.found * (units + g) / units * math.log((units + g) / (g * level**2)))
    e_value = math.exp(min(log_e, LARGEST_LOG))
    return Effect(difference, difference - half, difference + half, e_value, units, e_value >= 1 / level, shown)


def _is_burnt_in(one: Moments, *, binary: bool) -> bool:
    smaller = min(one.control[0], one.candidate[0])
    if smaller < 2:  # noqa: PLR2004 (no variance)
        return False
    if not binary:
        return smaller >= UNITS
    rate = (one.control[1] + one.candidate[1]) / (one.control[0] + one.candidate[0])
    return min(rate, 1 - rate) * smaller >= EVENTS


def _summary(moments: tuple[float, float, float]) -> tuple[float, float, float]:
    number, total, squares = moments
    mean = total / number
    return number, mean, max(0.0, (squares - number * mean * mean) / (number - 1))
