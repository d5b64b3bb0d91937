"""What runs of a metric come to, look by look: 0/1 metrics, values, ramps and users who ask more than once."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.stats import norm

from mlapi.rollouts.statistics import Moments

LOOKS = 150
NEAR = 1.9
"""Standard errors: no test here decides on less, so that such looks need not be computed."""

Random = np.random.Generator
Path = Iterator[tuple[float, list[Moments]]]
"""What one run came to at each look: units in total, and the strata."""


def rates(
    random: Random, share: float, rates: tuple[float, float], totals: np.ndarray, *, every: bool = False
) -> Path:
    """Yield the looks of one run of a 0/1 metric that could decide, or every one."""
    added = np.diff(totals, prepend=0)
    n_c = np.cumsum(added - random.binomial(added, share))
    n_t = totals - n_c
    arms = zip((n_c, n_t), rates, strict=True)
    sums = [(n, np.cumsum(random.binomial(np.diff(n, prepend=0), rate))) for n, rate in arms]
    for at in range(len(totals)) if every else far([(n, hits, hits) for n, hits in sums]):
        control, candidate = ((float(n[at]), float(hits[at]), float(hits[at])) for n, hits in sums)
        yield float(totals[at]), [Moments(control, candidate)]


def values(random: Random, share: float, draw: Callable[[Random, int], np.ndarray], totals: np.ndarray) -> Path:
    """Yield the looks of one run of a continuous metric; both arms draw alike."""
    arms = [draw(random, round(totals[-1] * part)) for part in (1 - share, share)]
    sums = []
    for arm in arms:
        at = np.maximum(len(arm) * (totals / totals[-1]), 2).astype(int)
        sums.append((at, np.cumsum(arm)[at - 1], np.cumsum(arm**2)[at - 1]))
    for at in far(sums):
        control, candidate = ((float(n[at]), float(one[at]), float(square[at])) for n, one, square in sums)
        yield float(totals[at]), [Moments(control, candidate)]


def ramp(random: Random) -> Path:
    """Yield the looks of a ramp in which the base rate drifts from 2 % to 20 %; nobody is better."""
    def looks(most: int) -> np.ndarray:
        return np.linspace(most / 40, most, 40).astype(int)

    done: list[Moments] = []
    for share, base, most in ((0.01, 0.10, 40_000), (0.05, 0.02, 40_000), (0.25, 0.2, 20_000), (0.5, 0.05, 20_000)):
        now: list[Moments] = []
        for total, now in rates(random, share, (base, base), looks(most), every=True):
            yield total, [*done, *now]
        done += now


def sticky(random: Random, *, by_user: bool) -> Path:
    """Yield the looks of 2,000 users whose habits differ, 30 requests each; units are users, or (wrongly) requests."""
    users, requests = 2000, 30
    habits, arms = random.beta(1, 4, users), random.integers(2, size=users) == 1
    habits, arms = (np.repeat(one, 1 if by_user else requests) for one in (habits, arms))
    order = random.permutation(len(habits))
    hits, arms = (random.random(len(habits)) < habits)[order], arms[order]
    looks = np.geomspace(200, len(arms), LOOKS).astype(int) - 1
    counts = [(np.cumsum(chosen)[looks], np.cumsum(chosen & hits)[looks]) for chosen in (~arms, arms)]
    for at in far([(n, hits, hits) for n, hits in counts]):
        control, candidate = ((float(n[at]), float(hits[at]), float(hits[at])) for n, hits in counts)
        yield float(looks[at]), [Moments(control, candidate)]


def exponential(random: Random, n: int) -> np.ndarray:
    """Return skewed values."""
    return random.exponential(1.0, n)


def spending(random: Random, n: int) -> np.ndarray:
    """Return log-normal values of sigma 1.5, capped at their 99.9th percentile."""
    return np.minimum(random.lognormal(0, 1.5, n), math.exp(1.5 * norm.ppf(0.999)))


def far(sums: list[tuple[np.ndarray, ...]]) -> np.ndarray:
    """Return the looks at which the arms are not near each other; sums are number, sum and sum of squares an arm."""
    (n_c, sum_c, square_c), (n_t, sum_t, square_t) = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_c, mean_t = sum_c / n_c, sum_t / n_t
        welch = (square_c / n_c - mean_c**2) / n_c + (square_t / n_t - mean_t**2) / n_t
        every = (sum_c + sum_t) / (n_c + n_t)
        pooled = ((square_c + square_t) / (n_c + n_t) - every**2) * (1 / n_c + 1 / n_t)
        return np.flatnonzero((mean_t - mean_c) ** 2 >= NEAR**2 * np.minimum(welch, pooled))
