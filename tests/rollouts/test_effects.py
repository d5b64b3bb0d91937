"""The success metric: closed forms against independent ones, and how often it errs, by small simulations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from mlapi.rollouts import effects
from mlapi.rollouts.counters import RATIO
from mlapi.rollouts.effects import Boundary, Effect, effect, paired, proportion_interval, quantile_interval, verdict
from mlapi.rollouts.statistics import Counts, Moments, spread, srm_log_e

ALWAYS = Boundary(0.05, "always_valid", 10_000)
ENDS = Boundary(0.05, "bounded", 10_000)


def rates(n_c: int, events_c: int, n_t: int, events_t: int) -> Moments:
    return Moments((n_c, events_c, events_c), (n_t, events_t, events_t))


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.05, 0.1])
def test_the_mixture_is_narrowest_at_the_sample_it_is_tuned_for(alpha: float) -> None:
    """Lambert's W against a search for the narrowest interval."""

    def width(units: float) -> float:
        g = 1000 / spread(alpha)
        return (units + g) / units**2 * math.log((units + g) / (g * alpha**2))

    def at_1000(g: float) -> float:
        return (1000 + g) / 1000 * math.log((1000 + g) / (g * alpha**2))

    best = optimize.minimize_scalar(at_1000, bounds=(1, 1000), method="bounded", options={"xatol": 1e-6})
    assert best.x == pytest.approx(1000 / spread(alpha), rel=1e-4)
    assert width(1000) > width(2000)


def test_a_single_stratum_has_the_z_of_the_textbook() -> None:
    found = effect([rates(5000, 500, 5000, 580)], ALWAYS, binary=True)
    assert found is not None
    table = np.array([[500, 4500], [580, 4420]])
    squared = stats.chi2_contingency(table, correction=False).statistic
    g = 10_000 / spread(0.05)
    assert found.e_value == pytest.approx(math.sqrt(g / (10_000 + g)) * math.exp(squared / 2 * 10_000 / (10_000 + g)))
    assert found.difference == pytest.approx(0.016)
    assert found.units == pytest.approx(10_000)
    assert found.error == pytest.approx(math.sqrt(0.1 * 0.9 / 5000 + 0.116 * 0.884 / 5000))


@given(st.integers(30, 2000), st.integers(30, 2000), st.sampled_from([2500, 5000, 50_000]))
def test_zero_is_outside_of_the_interval_where_the_e_value_decides(control: int, candidate: int, n_c: int) -> None:
    for test in (ALWAYS, ENDS):
        found = effect([rates(n_c, control, 2500, candidate)], test, binary=True)
        if found is not None and abs(found.e_value * test.level - 1) > 1e-9:
            assert found.decided == (found.e_value >= 1 / test.level) == (found.lower > 0 or found.upper < 0)
            assert found.lower <= found.difference <= found.upper


def test_a_small_arm_that_has_seen_no_large_values_yet_does_not_look_certain() -> None:
    """Of skewed values its mean and its variance are too low together; of a large variance nothing is taken away."""
    def shift(candidate_variance: float) -> Effect:
        arms = [(n, n * mean, n * (variance + mean**2)) for n, mean, variance in (
            (100_000.0, 4.0, 30.0), (2_000.0, 3.5, candidate_variance))]  # fmt: skip
        found = effect([Moments(*arms)], ALWAYS, binary=False)
        assert found is not None
        return found

    small, same, large = (shift(variance) for variance in (5.0, 30.0, 120.0))
    assert small.upper - small.lower == pytest.approx(same.upper - same.lower, rel=0.01)
    assert math.log(small.e_value) == pytest.approx(math.log(same.e_value), rel=0.05)
    assert small.error < same.error / 2
    assert large.upper - large.lower == pytest.approx(2 * (same.upper - same.lower), rel=0.02)


def test_a_drift_between_the_steps_of_a_ramp_is_no_effect() -> None:
    """Pooled over the steps the candidate would have 16 % and the control 12 %."""
    found = effect([rates(9500, 950, 500, 50), rates(5000, 1000, 5000, 1000)], ALWAYS, binary=True)
    assert found is not None
    assert found.difference == pytest.approx(0)
    assert not found.decided


def test_strata_below_their_burn_in_are_left_out() -> None:
    assert effect([], ALWAYS, binary=True) is None
    early, settled = rates(1000, 5, 100, 3), rates(5000, 500, 5000, 520)
    assert effect([early], ALWAYS, binary=True) is None
    assert effect([early, settled], ALWAYS, binary=True) == effect([settled], ALWAYS, binary=True)
    assert effect([rates(1000, 0, 1000, 39)], ALWAYS, binary=True) is None
    assert effect([rates(1000, 41, 1000, 0)], ALWAYS, binary=True) is not None, "a candidate that kills everything"
    assert effect([rates(1000, 995, 1000, 990)], ALWAYS, binary=True) is None, "non-events count as well"
    few = Moments((999, 5.0, 999), (5000, 0.0, 5000))
    assert effect([few], ALWAYS, binary=False) is None
    assert effect([Moments((1000, 0, 0), (1000, 0, 0))], ALWAYS, binary=False) is None, "no spread"


def test_a_bounded_interval_of_few_events_is_not_shown() -> None:
    for events, shown in ((60, False), (101, True)):
        found = effect([rates(5000, events, 5000, events)], ENDS, binary=True)
        assert found is not None
        assert found.shown is shown
    found = effect([rates(5000, 60, 5000, 60)], ALWAYS, binary=True)
    assert found is not None
    assert found.shown


@pytest.mark.parametrize(("alpha", "level"), [(0.01, 0.0509), (0.05, 0.1934), (0.10, 0.3262)])
def test_a_bounded_test_ends_with_the_z_of_the_design(alpha: float, level: float) -> None:
    """The final |z| is 3.08, 2.51 and 2.22."""
    test = Boundary(alpha, "bounded", 1000)
    assert test.level == pytest.approx(level)
    g = 3000 / spread(alpha)
    z = math.sqrt((1000 + g) / 1000 * math.log((1000 + g) / (g * level**2)))
    assert z == pytest.approx({0.01: 3.08, 0.05: 2.51, 0.10: 2.22}[alpha], abs=0.01)


def test_levels_between_the_computed_ones_rise_and_beyond_them_are_refused() -> None:
    levels = [effects.bounded_level(alpha) for alpha in np.geomspace(0.001, 0.1, 50)]
    assert levels == sorted(levels)
    with pytest.raises(ValueError, match=r"alpha is 0.2; a bounded test has one from 0.001 to 0.1"):
        effects.bounded_level(0.2)


@pytest.mark.no_cover
def test_equal_versions_are_seldom_told_apart_however_often_one_looks() -> None:
    """300 runs at 5 % and 1 %, 60 looks each: at alpha .05, always valid about 8, bounded about 14."""
    random = np.random.default_rng(8)
    looks = np.geomspace(40_000, 800_000, 60).astype(int)
    added = np.diff(looks, prepend=0)
    wrong = {"always_valid": 0, "bounded": 0}
    for _ in range(300):
        n_t = np.cumsum(random.binomial(added, 0.05))
        n_c = looks - n_t
        hits_c, hits_t = (np.cumsum(random.binomial(np.diff(n, prepend=0), 0.01)) for n in (n_c, n_t))
        strata = [rates(*(int(one) for one in row)) for row in zip(n_c, hits_c, n_t, hits_t, strict=True)]
        for test in (Boundary(0.05, "always_valid", 50_000), Boundary(0.05, "bounded", 4 * 0.05 * 0.95 * 800_000)):
            found = [effect([one], test, binary=True) for one in strata]
            wrong[test.mode] += any(one is not None and one.decided for one in found)
    assert wrong["always_valid"] <= 18
    assert wrong["bounded"] <= 26


def test_pairs_decide_where_most_losses_fall() -> None:
    assert paired((99, 10.0, 20.0), ALWAYS) is None
    assert paired((500, 0.0, 0.0), ALWAYS) is None
    equal = paired((5000, 0.0, 250.0), Boundary(0.05, "always_valid", 4000))
    assert equal is not None
    assert not equal.decided
    better = paired((8000, -160.0, 400.0), Boundary(0.05, "always_valid", 4000))
    assert better is not None
    assert better.decided
    assert better.upper < 0
    assert better.difference == pytest.approx(-0.02)
    few = paired((100, 1.0, 2.0), Boundary(0.001, "always_valid", 1e9))
    assert few is not None
    assert few.upper == math.inf


def test_paired_losses_without_a_difference_are_seldom_told_apart() -> None:
    """300 runs, exactly one model right on 5 %: at alpha .05 about 7."""
    random, wrong = np.random.default_rng(9), 0
    looks = np.geomspace(100, 10_000, 50).astype(int) - 1
    for _ in range(300):
        losses = random.choice([-1.0, 0.0, 1.0], 10_000, p=[0.025, 0.95, 0.025])
        total, squares = np.cumsum(losses)[looks], np.cumsum(losses**2)[looks]
        found = [paired((float(at + 1), float(one), float(two)), Boundary(0.05, "always_valid", 4000))
                 for at, one, two in zip(looks, total, squares, strict=True)]  # fmt: skip
        wrong += any(one is not None and one.decided for one in found)
    assert wrong <= 17


@pytest.mark.parametrize(
    ("goal", "lower", "upper", "up", "down"),
    [
        ("superiority", 0.01, 0.03, "win", "harm"), ("superiority", -0.01, 0.03, "", ""),
        ("superiority", -0.03, -0.01, "harm", "win"), ("non_inferiority", -0.01, 0.03, "win", ""),
        ("non_inferiority", -0.05, -0.03, "harm", "win"), ("non_inferiority", -0.03, 0.01, "", "win"),
        ("equivalence", -0.01, 0.01, "win", "win"), ("equivalence", 0.03, 0.04, "harm", "harm"),
        ("equivalence", -0.04, -0.03, "harm", "harm"), ("equivalence", -0.03, 0.01, "", ""),
    ],
)  # fmt: skip
def test_what_an_interval_decides(goal: effects.Goal, lower: float, upper: float, up: str, down: str) -> None:
    found = Effect((lower + upper) / 2, lower, upper, 1.0, 1000)
    assert verdict(found, goal, "up", 0.02) == up
    assert verdict(found, goal, "down", 0.02) == down


def test_a_relative_difference_has_the_error_of_a_ratio() -> None:
    """Against the ratio of 200,000 drawn pairs of means."""
    random = np.random.default_rng(10)
    control, candidate = random.normal(10, 0.1, 200_000), random.normal(11, 0.2, 200_000)
    error = math.hypot(0.1, 0.2)
    found = Effect(1.0, 1.0 - 2 * error, 1.0 + 2 * error, 1.0, 1000, error=error)
    ratio, lower, upper = effects.relative(found, 10.0, 0.01)
    assert ratio == pytest.approx(0.1)
    assert (upper - lower) / 4 == pytest.approx(float((candidate / control).std()), rel=0.01)
    flipped = effects.relative(Effect(1.0, 0.5, 2.0, 1.0, 1000, error=error), -10.0, 0.0)
    assert flipped[1] < -0.1 < flipped[2]
    assert all(map(math.isnan, effects.relative(found, 0.0, 0.01)))


@pytest.mark.parametrize(("bad", "n"), [(0, 50), (3, 40), (50, 1000), (990, 1000), (7, 7)])
def test_the_interval_of_a_rate_is_every_rate_that_is_not_refused(bad: int, n: int) -> None:
    lower, upper = proportion_interval(bad, n, 0.05)
    grid = np.linspace(0.0005, 0.9995, 1000)
    every = [rate for rate in grid if srm_log_e([Counts(n - bad, bad, rate)]) < math.log(20)]
    assert lower == pytest.approx(every[0], abs=0.0011)
    assert upper == pytest.approx(every[-1], abs=0.0011)
    assert lower <= bad / n <= upper


def test_without_anything_counted_everything_is_possible() -> None:
    assert proportion_interval(0, 0, 0.05) == (0.0, 1.0)
    assert quantile_interval({}, 0.5, 0.05) == (0.0, math.inf)
    assert quantile_interval({400: 3}, 0.99, 0.05)[1] == math.inf


def test_the_interval_of_a_quantile_holds_it_and_narrows() -> None:
    random, widths = np.random.default_rng(11), []
    for n in (500, 50_000):
        times = random.lognormal(16, 0.5, n)
        buckets, counts = np.unique(np.ceil(np.log(times) / math.log(RATIO)).astype(int), return_counts=True)
        lower, upper = quantile_interval(dict(zip(buckets.tolist(), counts.tolist(), strict=True)), 0.95, 0.05)
        assert lower < math.exp(16 + 0.5 * stats.norm.ppf(0.95)) < upper
        widths.append(upper / lower)
    assert widths[1] < 1.15 < widths[0]
