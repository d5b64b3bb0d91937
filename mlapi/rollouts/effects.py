"""The success metric of a rollout: by how much the candidate is better or worse, at any time one looks.

The normal mixture of Robbins as in `statistics.mean_shift` (Waudby-Smith et al., arXiv:2103.06476; Johari et
al., arXiv:1512.04922), tuned for the sample that was planned. A `bounded` test declares the most units it
will ever look at and needs 28 % fewer: by the same formula at a level alpha' by which the chance to cross
up to that number is alpha. Its verdict on that many units is final; the caller stops there. Differences
are candidate minus control.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from mlapi.rollouts.counters import RATIO
from mlapi.rollouts.statistics import BURN_IN, LARGEST_LOG, Counts, Moments, spread, srm_log_e, summary

EVENTS = 20
"""Events, and non-events, expected in the smaller arm of a stratum of a 0/1 metric before it counts."""

SHOWN_EVENTS = 100
"""The same before the interval of a bounded test of a 0/1 metric is shown: it spends all of alpha, so skew shows."""

PAIRS = 100
"""Pairs before paired losses count. Self-normalised sums hold their level at any number where differences are
symmetric; a hundred leave room for skewed ones, with which benchmarks/rollouts/effects.py tries it."""

HORIZONS = 3
"""A bounded test is tuned for so many of its horizons, which makes its boundary nearly that of a fixed test."""

LEVELS = ((0.001, 0.0063), (0.005, 0.0275), (0.01, 0.0509), (0.02, 0.0920), (0.05, 0.1934), (0.1, 0.3262))
"""alpha and alpha' of bounded tests, by exact recursion over about a thousand looks between a
hundredth of the horizon and the horizon (benchmarks/rollouts/boundary.py). Over 3,000 looks the error at .05
is .052."""

Mode = Literal["always_valid", "bounded"]
Goal = Literal["superiority", "non_inferiority", "equivalence"]
Direction = Literal["up", "down"]
Verdict = Literal["win", "harm", ""]


@dataclass(frozen=True, slots=True)
class Boundary:
    """How a metric is tested: `alpha` is the risk of a wrong verdict over all looks.

    `tuned` is in units as if half of them had the candidate: for `always_valid` the number for which the
    interval is narrowest (of `planner.plan`: that of a fixed test), for `bounded` the most ever looked at.
    For `paired` it is in pairs.
    """

    alpha: float
    mode: Mode
    tuned: float

    @property
    def level(self) -> float:
        """The alpha of the formula: its own, or alpha' of a bounded test; an e-value of 1/level is a verdict."""
        return self.alpha if self.mode == "always_valid" else bounded_level(self.alpha)

    @property
    def mixing(self) -> float:
        """The g of the formula in units; of the nominal alpha in both modes."""
        return self.tuned * (HORIZONS if self.mode == "bounded" else 1) / spread(self.alpha)


@dataclass(frozen=True, slots=True)
class Effect:
    """A difference of means with its interval, the e-value against "no difference" and the units behind it.

    Zero is outside of the interval exactly where the e-value is at least 1 / `Boundary.level`. `units` are
    4 sum(n_c n_t / (n_c + n_t)): as if half of them had the candidate; pairs for `paired`. `error` is the
    standard error; `decided` says whether zero is outside. `shown` is False where the interval decides and is
    too rough to be printed.
    """

    difference: float
    lower: float
    upper: float
    e_value: float
    units: float
    decided: bool = False
    shown: bool = True
    error: float = math.nan


def effect(strata: Iterable[Moments], test: Boundary, *, binary: bool) -> Effect | None:
    """Return the effect over all strata that are through their burn-in; None before any is.

    Strata (steps of a ramp) are weighted by h = n_c n_t / (n_c + n_t) (Cochran-Mantel-Haenszel), so that a
    drift between them does not look like an effect. `binary` says that all values are 0 or 1: then the
    variance at no difference is the pooled one, and the interval inverts the test with a variance that is
    linear in the difference, as Wilson's does. Values that are neither and mostly zero should be capped and
    need 100 that are not zero in the smaller arm, which moments cannot tell. None as well without any spread.
    """
    settled = [one for one in strata if _settled(one, binary=binary)]
    weight = sum(_weight(one) for one in settled)
    parts = [_binary_part(one) if binary else _part(one) for one in settled]
    total, variance, pooled, slope = (sum(column) for column in zip(*parts, strict=True)) if parts else (0.0,) * 4
    if not pooled > 0:
        return None
    difference, error = total / weight, math.sqrt(variance) / weight
    units, pooled, slope = 4 * weight, pooled / weight**2, slope / weight**2
    squared = _squared_limit(units, test)
    middle = difference + squared * slope / 2
    half = math.sqrt(squared * max(0.0, pooled + slope * difference) + (squared * slope / 2) ** 2)
    shown = not (binary and test.mode == "bounded") or sum(map(_events, settled)) >= SHOWN_EVENTS
    e_value = _e_value(difference**2 / pooled, units, test)
    decided = e_value >= 1 / test.level
    return Effect(difference, middle - half, middle + half, e_value, units, decided, shown, error)


def paired(moments: tuple[float, float, float], test: Boundary) -> Effect | None:
    """Return the effect on losses that both versions had on the same units; None before `PAIRS` of them.

    `moments` are those of d = loss of the candidate - loss of the control. The sum is normalised by the sum
    of squares, under which it is a supermartingale for symmetric d at any sample size (de la Pena, Annals of
    Probability 27, 1999); the interval inverts that, and is infinite where too few pairs say anything.
    """
    number, total, squares = moments
    if number < PAIRS or not squares > 0:
        return None
    mean = total / number
    variance = max(0.0, squares / number - mean**2) / number
    squared = _squared_limit(number, test)
    half = math.sqrt(squared * variance / (1 - squared / number)) if squared < number else math.inf
    e_value = _e_value(total**2 / squares, number, test)
    decided = e_value >= 1 / test.level
    return Effect(mean, mean - half, mean + half, e_value, number, decided, error=math.sqrt(variance))


def verdict(found: Effect, goal: Goal, direction: Direction, margin: float) -> Verdict:
    """Return what an effect decides: win, harm, or nothing yet (""). `margin` d is in the metric's units.

    Superiority: all of the interval above zero wins, below zero harms; non-inferiority: above or below -d;
    equivalence: inside (-d, d) wins, outside of it harms. Where less is better (`down`) signs are flipped.
    """
    low, high = (found.lower, found.upper) if direction == "up" else (-found.upper, -found.lower)
    if goal == "equivalence":
        wins, harms = -margin < low and high < margin, low > margin or high < -margin
    else:
        border = -margin if goal == "non_inferiority" else 0.0
        wins, harms = low > border, high < border
    return "win" if wins else "harm" if harms else ""


def relative(found: Effect, control_mean: float, control_variance_of_mean: float) -> tuple[float, float, float]:
    """Return the difference as a share of the control's mean, with lower and upper limit: to show, not to decide.

    By the delta method for a ratio of independent means; the interval is wider or narrower than the absolute
    one over the mean as the standard errors are. NaN where the control's mean is zero.
    """
    if control_mean == 0:
        return math.nan, math.nan, math.nan
    ratio = found.difference / control_mean
    variance = found.error**2 + control_variance_of_mean * (ratio**2 + 2 * ratio)
    scale = math.sqrt(max(0.0, variance)) / found.error / abs(control_mean) if found.error else 1 / abs(control_mean)
    below, above = found.difference - found.lower, found.upper - found.difference
    if control_mean < 0:
        below, above = above, below
    return ratio, ratio - below * scale, ratio + above * scale


def proportion_interval(bad: int, n: int, alpha: float) -> tuple[float, float]:
    """Return the interval of a rate that covers it at all times with probability 1 - alpha; exact at any n.

    The rates under which the division of `n` into bad and good has a log e-value below log(1/alpha) (two
    cells of `statistics.srm_log_e`). Without any units it is everything.
    """
    if n == 0:
        return 0.0, 1.0

    def refused(rate: float) -> bool:
        return srm_log_e([Counts(n - bad, bad, rate)]) >= math.log(1 / alpha)

    found = bad / n
    lower = _border(refused, found, 0.0) if bad else 0.0
    return lower, _border(refused, found, 1.0) if bad < n else 1.0


def quantile_interval(histogram: Mapping[int, int], q: float, alpha: float) -> tuple[float, float]:
    """Return the interval of a quantile of latency in nanoseconds that covers it at all times at 1 - alpha.

    `histogram` is that of `counters.Arm`. The values whose ranks are possible numbers below the quantile
    (see `proportion_interval`), widened to the edges of their buckets; infinite where it is beyond the last.
    """
    buckets = sorted(bucket for bucket, count in histogram.items() if count)
    ranks = np.cumsum([histogram[bucket] for bucket in buckets])
    n = int(ranks[-1]) if buckets else 0
    if n == 0:
        return 0.0, math.inf
    least, most = _possible(n, q, alpha)
    lower = RATIO ** (buckets[int(np.searchsorted(ranks, least))] - 1) if least > 0 else 0.0
    upper = RATIO ** buckets[int(np.searchsorted(ranks, most + 1))] if most < n else math.inf
    return lower, upper


def bounded_level(alpha: float) -> float:
    """Return alpha' of a bounded test; between the computed ones log-log, which is right to 2 % of alpha'.

    Raises:
        ValueError: alpha is not in the range of `LEVELS`.
    """
    for (alpha_0, level_0), (alpha_1, level_1) in pairwise(LEVELS):
        if alpha_0 <= alpha <= alpha_1:
            part = math.log(alpha / alpha_0) / math.log(alpha_1 / alpha_0)
            return math.exp(math.log(level_0) + math.log(level_1 / level_0) * part)
    raise ValueError(f"alpha is {alpha:g}; a bounded test has one from {LEVELS[0][0]:g} to {LEVELS[-1][0]:g}")


def _settled(one: Moments, *, binary: bool) -> bool:
    if not binary:
        return min(one.control[0], one.candidate[0]) >= BURN_IN
    return min(one.control[0], one.candidate[0]) > 0 and _events(one) >= EVENTS


def _events(one: Moments) -> float:
    """Return the events, or the non-events where they are fewer, that the pooled rate lets expect in the smaller arm.

    Pooled, so that a candidate without a single event is seen too.
    """
    rate = _pooled(one)
    return min(rate, 1 - rate) * min(one.control[0], one.candidate[0])


def _pooled(one: Moments) -> float:
    return (one.control[1] + one.candidate[1]) / (one.control[0] + one.candidate[0])


def _weight(one: Moments) -> float:
    return one.control[0] * one.candidate[0] / (one.control[0] + one.candidate[0])


def _part(one: Moments) -> tuple[float, float, float, float]:
    """Return h times: the difference, and h^2 times: its variance, that at no difference, and how it changes.

    Of skewed values a smaller arm that has seen few of the large ones has a mean and a variance that are both too low,
    which looks like an effect; at no difference the variance is at least that of all values together.
    """
    (n_c, mean_c, var_c), (n_t, mean_t, var_t) = summary(one.control), summary(one.candidate)
    h = _weight(one)
    variance = h * h * (var_c / n_c + var_t / n_t)
    n, total, squares = (a + b for a, b in zip(one.control, one.candidate, strict=True))
    together = h * max(0.0, squares / n - (total / n) ** 2)  # h^2 s^2 (1/n_c + 1/n_t)
    return h * (mean_t - mean_c), variance, max(variance, together), 0.0


def _binary_part(one: Moments) -> tuple[float, float, float, float]:
    """Return as `_part` does; p is pooled, so a difference moves one rate by its share of the other arm."""
    (n_c, sum_c, _), (n_t, sum_t, _) = one.control, one.candidate
    h, rate = _weight(one), _pooled(one)
    mean_c, mean_t = sum_c / n_c, sum_t / n_t
    variance = h * h * (mean_c * (1 - mean_c) / n_c + mean_t * (1 - mean_t) / n_t)
    pooled = h * rate * (1 - rate)  # h^2 p(1-p) (1/n_c + 1/n_t)
    slope = h * h * (1 - 2 * rate) * (n_c - n_t) / (n_c * n_t)
    return h * (mean_t - mean_c), variance, pooled, slope


def _squared_limit(units: float, test: Boundary) -> float:
    """Return the square of the |z| at which the e-value is 1 / level."""
    g = test.mixing
    return (units + g) / units * math.log((units + g) / (g * test.level**2))


def _e_value(squared: float, units: float, test: Boundary) -> float:
    g = test.mixing
    return math.exp(min(LARGEST_LOG, math.log(g / (units + g)) / 2 + squared / 2 * units / (units + g)))


def _border(refused: Callable[[float], bool], inside: float, outside: float) -> float:
    """Return by bisection where `refused` begins between the two, to the outer side."""
    for _ in range(50):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if refused(middle) else (middle, outside)
    return outside


def _possible(n: int, q: float, alpha: float) -> tuple[int, int]:
    """Return the least and the most of `n` values that may be below the quantile."""

    def refused(below: float) -> bool:
        return srm_log_e([Counts(n - round(below), round(below), q)]) >= math.log(1 / alpha)

    middle = round(n * q)
    least = 0 if not refused(0) else math.floor(_border(refused, middle, 0))
    most = n if not refused(n) else math.ceil(_border(refused, middle, n))
    return least, most
