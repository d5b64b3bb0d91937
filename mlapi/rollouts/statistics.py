"""The statistics of a rollout: three closed forms that may be looked at after every request.

Each is an e-value: under its null hypothesis it is a non-negative supermartingale that starts at 1, so
the chance that it ever reaches 1/alpha is at most alpha, however often one looks (Ville's inequality;
Ramdas et al., arXiv:2210.01948). Differences are candidate minus control. All logarithms are natural.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

RISKS = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Relative risks that the mixture of `rate_log_e` bets on, in equal parts."""

CONCENTRATIONS = (1e2, 1e3, 1e4, 1e5)
"""Concentrations of the Dirichlet priors that `srm_log_e` mixes in equal parts."""

SHIFT_UNITS = 2000
"""The number of units, as if half of them had the candidate, for which the interval of the shift is narrowest."""

BURN_IN = 1000
"""Units in the smaller arm of a stratum before its mean counts: below, the normal limit is not good enough."""

LARGEST_LOG = 690.0
"""exp(690) still is a double."""


@dataclass(frozen=True, slots=True)
class Counts:
    """A count in each arm, while the candidate's share was `share`, strictly between 0 and 1."""

    control: int
    candidate: int
    share: float


@dataclass(frozen=True, slots=True)
class Moments:
    """Number, sum and sum of squares of a value in each arm of one stratum."""

    control: tuple[float, float, float]
    candidate: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference of means with an interval that covers it at all times with probability 1 - alpha."""

    difference: float
    lower: float
    upper: float


def rate_log_e(strata: Iterable[Counts], margin: float) -> float:
    """Return the log e-value against "bad events are at most 1 + margin times as likely with the candidate".

    Given that a bad event happened while the candidate had share w, its arm is the candidate with
    probability at most w' = w(1+m) / (w(1+m) + 1 - w); the bet r multiplies wealth by r or 1 over
    w' r + 1 - w'. Exact at any sample size, any rate and any drift of the rate, since all of that hits
    both arms (conditional test of two Poisson rates; Lindon & Malek, arXiv:2011.03567).
    """
    risks = np.array(RISKS)
    log_e = np.zeros(len(RISKS))
    for stratum in strata:
        weighted = stratum.share * (1 + margin)
        likely = weighted / (weighted + 1 - stratum.share)
        events = stratum.control + stratum.candidate
        log_e += stratum.candidate * np.log(risks) - events * np.log(likely * risks + 1 - likely)
    return _log_mean(log_e.tolist())


def srm_log_e(strata: Iterable[Counts]) -> float:
    """Return the log e-value against "units are divided as intended" (sample ratio mismatch).

    Dirichlet-multinomial against the intended shares (Lindon & Malek, arXiv:2011.03567), a mixture of
    concentrations: one that is strong only for gross mismatches sees subtle ones late, and the reverse.
    """
    from scipy.special import gammaln  # noqa: PLC0415 (megabytes that a worker without a rollout never needs)

    log_e = np.zeros(len(CONCENTRATIONS))
    for stratum in strata:
        shares = np.array([1 - stratum.share, stratum.share])
        counts = np.array([stratum.control, stratum.candidate])
        for at, concentration in enumerate(CONCENTRATIONS):
            prior = concentration * shares
            log_e[at] += gammaln(concentration) - gammaln(concentration + counts.sum())
            with np.errstate(divide="ignore", invalid="ignore"):  # shares of 0 and 1 bound the interval of a rate
                log_e[at] += float((gammaln(prior + counts) - gammaln(prior)).sum() - (counts * np.log(shares)).sum())
    return _log_mean(log_e.tolist())


def mean_shift(strata: Iterable[Moments], alpha: float, repeats: int = 1) -> Interval | None:
    """Return the interval of the difference of means; None before any stratum is through its burn-in.

    The normal mixture of Robbins in the form of a confidence sequence (Waudby-Smith et al.,
    arXiv:2103.06476), strata weighted by h = n_c n_t / (n_c + n_t) (Cochran-Mantel-Haenszel), so that a
    drift between the steps of a ramp does not look like a difference. `repeats` is how often a unit may
    have been counted at most; the variance is taken as that much larger.
    """
    settled = [one for one in strata if min(one.control[0], one.candidate[0]) >= BURN_IN]
    if not settled:
        return None
    total, weight, variance = 0.0, 0.0, 0.0
    for one in settled:
        (n_c, mean_c, var_c), (n_t, mean_t, var_t) = summary(one.control), summary(one.candidate)
        h = n_c * n_t / (n_c + n_t)
        total += h * (mean_t - mean_c)
        weight += h
        variance += h * h * (var_c / n_c + var_t / n_t)
    units = 4 * weight / repeats
    tuned = SHIFT_UNITS / spread(alpha)
    error = math.sqrt(variance * repeats) / weight
    half = error * math.sqrt((units + tuned) / units * math.log((units + tuned) / (tuned * alpha**2)))
    difference = total / weight
    return Interval(difference, difference - half, difference + half)


def spread(alpha: float) -> float:
    """Return x such that a normal mixture of n/x is narrowest at n units: -W_{-1}(-alpha^2/e) - 1.

    W is Lambert's function (Waudby-Smith et al., arXiv:2103.06476, appendix B.2); 8.21 at alpha .05.
    """
    from scipy.special import lambertw  # noqa: PLC0415 (see srm_log_e)

    return float(-lambertw(-(alpha**2) / math.e, -1).real - 1)


def summary(moments: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return number, mean and variance (n - 1) of moments: number, sum and sum of squares; number at least 2."""
    number, total, squares = moments
    mean = total / number
    return number, mean, max(0.0, (squares - number * mean * mean) / (number - 1))


def p_value(log_e: float) -> float:
    """Return the p-value that an e-value is worth: its inverse, at most 1."""
    return math.exp(-max(0.0, min(log_e, LARGEST_LOG)))


def e_value(log_e: float) -> float:
    """Return the e-value, cut off where doubles end."""
    return math.exp(min(log_e, LARGEST_LOG))


def _log_mean(logs: Sequence[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(one - top) for one in logs) / len(logs))
