"""The closed forms: exact where they can be computed by hand, and right on average where they cannot."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlapi.rollouts import statistics
from mlapi.rollouts.statistics import Counts, Moments, mean_shift, rate_log_e, srm_log_e


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 0.99])
@pytest.mark.parametrize("margin", [0.0, 0.25, 2.0])
def test_under_the_null_the_bet_on_one_more_bad_event_is_fair(share: float, margin: float) -> None:
    """At the border of the null the expected e-value after each event is the one before it, exactly."""
    likely = share * (1 + margin) / (share * (1 + margin) + 1 - share)
    for events in range(1, 6):
        chances = stats.binom.pmf(range(events + 1), events, likely)
        e_values = [math.exp(rate_log_e([Counts(events - n, n, share)], margin)) for n in range(events + 1)]
        expected = sum(chance * e for chance, e in zip(chances, e_values, strict=True))
        assert expected == pytest.approx(1.0)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
def test_under_the_null_the_mean_of_the_division_e_value_is_one(share: float) -> None:
    for units in range(1, 8):
        chances = stats.binom.pmf(range(units + 1), units, share)
        e_values = [math.exp(srm_log_e([Counts(units - n, n, share)])) for n in range(units + 1)]
        expected = sum(chance * e for chance, e in zip(chances, e_values, strict=True))
        assert expected == pytest.approx(1.0)


def test_without_events_there_is_no_evidence() -> None:
    assert rate_log_e([], 0.25) == pytest.approx(0.0)
    assert rate_log_e([Counts(0, 0, 0.5)], 0.0) == pytest.approx(0.0)
    assert srm_log_e([]) == pytest.approx(0.0)
    assert mean_shift([], 0.01) is None


def test_strata_add_up_and_their_order_does_not_matter() -> None:
    strata = [Counts(30, 4, 0.05), Counts(20, 12, 0.25), Counts(9, 20, 0.5)]
    for function in (lambda these: rate_log_e(these, 0.25), srm_log_e):
        values = {round(function(list(order)), 9) for order in itertools.permutations(strata)}
        assert len(values) == 1


def test_an_outage_that_hits_both_arms_is_no_evidence_and_a_candidate_that_fails_is() -> None:
    assert rate_log_e([Counts(950, 50, 0.05)], 0.25) < 0
    assert rate_log_e([Counts(95, 15, 0.05)], 0.25) > math.log(10)
    assert rate_log_e([Counts(0, 5, 0.05)], 0.25) > math.log(100)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0.001, 0.999), st.floats(0, 10))
def test_any_counts_have_a_finite_value(control: int, candidate: int, share: float, margin: float) -> None:
    counts = [Counts(control, candidate, share)]
    assert math.isfinite(rate_log_e(counts, margin))
    assert math.isfinite(srm_log_e(counts))
    assert 0 <= statistics.p_value(srm_log_e(counts)) <= 1
    assert 0 <= statistics.e_value(rate_log_e(counts, margin)) <= math.exp(690)


def test_looking_after_every_unit_seldom_finds_a_mismatch_that_is_not_there() -> None:
    """200 rollouts of 3,000 units, 300 looks each: at alpha .01 about 2 false alarms, 9 hardly ever."""
    random, alarms = np.random.default_rng(5), 0
    for _ in range(200):
        candidates = np.cumsum(random.random(3000) < 0.05)
        looks = [(int(candidates[n - 1]), n) for n in range(10, 3001, 100)]
        alarms += any(statistics.p_value(srm_log_e([Counts(n - c, c, 0.05)])) <= 0.01 for c, n in looks)
    assert alarms <= 8


def test_a_mismatch_is_seen() -> None:
    """47 % where 50 % was meant."""
    assert statistics.p_value(srm_log_e([Counts(5300, 4700, 0.5)])) < 0.001


def moments(values: np.ndarray) -> tuple[float, float, float]:
    return len(values), float(values.sum()), float((values**2).sum())


def test_the_interval_of_the_shift_covers_the_truth_however_often_one_looks() -> None:
    """200 rollouts whose base drifts by ten times the effect; at alpha .05, 10 misses are expected, 20 hardly ever."""
    random, misses = np.random.default_rng(6), 0
    for _ in range(200):
        strata, missed = [], False
        for base, share in ((0.0, 0.05), (1.0, 0.25), (2.0, 0.5)):
            control = random.exponential(1.0, round(40_000 * (1 - share))) + base
            candidate = random.exponential(1.0, round(40_000 * share)) + base + 0.1
            for part in (0.5, 1.0):
                seen = (moments(arm[: int(len(arm) * part)]) for arm in (control, candidate))
                now = Moments(*seen)
                interval = mean_shift([*strata, now], 0.05)
                assert interval is not None
                missed |= not interval.lower <= 0.1 <= interval.upper
            strata.append(now)
        misses += missed
    assert misses <= 19


def test_the_interval_is_centred_on_the_difference_and_waits_for_its_burn_in() -> None:
    random = np.random.default_rng(7)
    control, candidate = random.normal(0, 1, 5000), random.normal(0.5, 1, 5000)
    assert mean_shift([Moments(moments(control), moments(candidate[:999]))], 0.01) is None
    once = mean_shift([Moments(moments(control), moments(candidate))], 0.01)
    assert once is not None
    assert once.difference == pytest.approx(candidate.mean() - control.mean())
    assert once.upper - once.difference == pytest.approx(once.difference - once.lower)
    doubled = mean_shift([Moments(moments(control), moments(candidate))], 0.01, repeats=4)
    assert doubled is not None
    assert doubled.upper - doubled.lower > 1.5 * (once.upper - once.lower)
