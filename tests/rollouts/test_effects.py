"""The interval of an effect: against independent arithmetic, and by simulation with a fixed seed."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from mlapi.rollouts.effects import Boundary, Effect, effect, paired, verdict
from mlapi.rollouts.statistics import Moments

ALWAYS = Boundary(0.05, "always_valid", 5000.0)


def sums(values: np.ndarray) -> tuple[float, float, float]:
    return float(len(values)), float(values.sum()), float((values**2).sum())


def arms(control: np.ndarray, candidate: np.ndarray) -> Moments:
    return Moments(sums(control), sums(candidate))


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_the_mixing_point_minimises_the_width_of_the_interval_at_the_tuned_size(alpha: float) -> None:
    """X = tuned / g solves exp(-x) (1 + x) = alpha^2, found here without Lambert's function."""
    x = brentq(lambda x: math.log1p(x) - x - 2 * math.log(alpha), 1e-9, 100)
    assert Boundary(alpha, "always_valid", 1000.0).mixing == pytest.approx(1000 / x)
    assert Boundary(alpha, "bounded", 1000.0).mixing == pytest.approx(3000 / x)


def test_an_effect_of_one_stratum_is_the_textbook_difference_with_a_wider_interval() -> None:
    random = np.random.default_rng(1)
    control, candidate = random.normal(1, 2, 4000), random.normal(1.5, 2, 4000)
    found = effect([arms(control, candidate)], ALWAYS, binary=False)
    assert found is not None
    error = math.sqrt(control.var(ddof=1) / 4000 + candidate.var(ddof=1) / 4000)
    g, n = ALWAYS.mixing, 8000
    half = error * math.sqrt((n + g) / n * math.log((n + g) / (g * 0.05**2)))
    assert found.difference == pytest.approx(candidate.mean() - control.mean())
    assert (found.upper - found.lower) / 2 == pytest.approx(half)
    assert found.units == pytest.approx(8000)
    z = found.difference / error
    assert found.e_value == pytest.approx(math.sqrt(g / (n + g)) * math.exp(z**2 / 2 * n / (n + g)), rel=1e-6)
    assert found.decided == (found.lower > 0)


def test_a_base_rate_that_drifts_over_a_ramp_is_no_effect() -> None:
    """Pooled over the steps the candidate, which got its traffic late, would seem 20 points better."""
    early = Moments((9500.0, 950.0, 950.0), (500.0, 50.0, 50.0))
    late = Moments((5000.0, 2000.0, 2000.0), (5000.0, 2000.0, 2000.0))
    found = effect([early, late], ALWAYS, binary=True)
    assert found is not None
    assert found.difference == pytest.approx(0)
    assert not found.decided


@pytest.mark.parametrize(("one", "binary"), [
    (Moments((900.0, 0.0, 0.0), (999.0, 0.0, 0.0)), False),
    (Moments((10_000.0, 100.0, 100.0), (1000.0, 10.0, 10.0)), True),
    (Moments((10_000.0, 9990.0, 9990.0), (1000.0, 999.0, 999.0)), True),
    (Moments((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), True),
])  # fmt: skip
def test_before_the_burn_in_nothing_is_said(one: Moments, binary: bool) -> None:
    assert effect([one], ALWAYS, binary=binary) is None


def test_a_candidate_that_ends_all_conversions_is_seen_though_it_has_no_event() -> None:
    found = effect([Moments((2000.0, 200.0, 200.0), (2000.0, 0.0, 0.0))], ALWAYS, binary=True)
    assert found is not None
    assert verdict(found, "superiority", "up", 0.0) == "harm"


def test_an_interval_of_a_bounded_test_is_for_people_from_a_hundred_events() -> None:
    test = Boundary(0.05, "bounded", 10_000.0)
    few, many = (effect([Moments((1000.0, n, n), (1000.0, n, n))], test, binary=True) for n in (30.0, 60.0))
    assert few is not None
    assert many is not None
    assert (few.shown, many.shown) == (False, True)


@pytest.mark.parametrize(("goal", "direction", "interval", "said"), [
    ("superiority", "up", (0.1, 0.3), "win"), ("superiority", "down", (0.1, 0.3), "harm"),
    ("superiority", "up", (-0.3, -0.1), "harm"), ("superiority", "up", (-0.1, 0.3), ""),
    ("non_inferiority", "up", (-0.04, 0.3), "win"), ("non_inferiority", "up", (-0.3, -0.06), "harm"),
    ("non_inferiority", "down", (-0.3, 0.04), "win"), ("non_inferiority", "up", (-0.3, 0.1), ""),
    ("equivalence", "up", (-0.04, 0.04), "win"), ("equivalence", "up", (0.06, 0.1), "harm"),
    ("equivalence", "down", (-0.1, -0.06), "harm"), ("equivalence", "up", (-0.1, 0.01), ""),
])  # fmt: skip
def test_goals(goal: str, direction: str, interval: tuple[float, float], said: str) -> None:
    lower, upper = interval
    found = Effect((lower + upper) / 2, lower, upper, 1.0, 100.0, decided=lower * upper > 0, shown=True)
    assert verdict(found, goal, direction, 0.05) == said


@pytest.mark.parametrize(("mode", "size"), [("always_valid", 4000.0), ("bounded", 20_000.0)])
def test_looking_all_the_time_raises_no_false_alarm(mode: str, size: float) -> None:
    """200 runs of 20,000 units at 10 % of the traffic, 200 looks; 5 % would be 10, and 20 are three sigmas above."""
    random, test, wrong = np.random.default_rng(7), Boundary(0.05, mode, size), 0  # type: ignore[arg-type]  # one of two
    for _ in range(200):
        is_candidate, value = random.random(20_000) < 0.1, random.random(20_000) < 0.1
        counts = np.cumsum(np.stack([~is_candidate, is_candidate, ~is_candidate & value, is_candidate & value]), axis=1)
        for n_c, n_t, x_c, x_t in counts[:, 99::100].T.astype(float).tolist():
            found = effect([Moments((n_c, x_c, x_c), (n_t, x_t, x_t))], test, binary=True)
            if found is not None and found.decided:
                wrong += 1
                break
    assert wrong <= 20


def test_paired_losses_tell_with_few_labels_what_two_groups_cannot() -> None:
    """Exactly one of both models is right on 5 % of the inputs, the candidate on 3 %: .05 of variance against .36."""
    random = np.random.default_rng(3)
    better = random.random(8000) < 0.03
    worse = ~better & (random.random(8000) < 0.02 / 0.97)
    found = paired(sums(worse.astype(float) - better.astype(float)), Boundary(0.05, "always_valid", 4000.0))
    assert found is not None
    assert found.upper < 0
    base = random.random(8000) < 0.9
    split = effect([arms(base[:4000].astype(float), base[4000:].astype(float))], ALWAYS, binary=True)
    assert split is not None
    assert split.upper - split.lower > 2.5 * (found.upper - found.lower)


def test_pairs_that_never_differ_say_nothing() -> None:
    assert paired((1000.0, 0.0, 0.0), ALWAYS) is None
    assert paired((99.0, 5.0, 5.0), ALWAYS) is None
