"""The planner against the textbook and against what a test then does."""

import math

import numpy as np
import pytest
from scipy import stats

from mlapi.rollouts import planner
from mlapi.rollouts.effects import effect
from mlapi.rollouts.planner import Exposure, Spread
from mlapi.rollouts.statistics import Moments

HALF = [Exposure(0.5)]


def test_a_fixed_test_of_the_planned_size_has_the_planned_power() -> None:
    planned = planner.plan(Spread(4.0, 4.0), 0.1, "bounded", [Exposure(0.2)], 1000, power=0.9)
    error = math.sqrt(4 / (0.8 * planned.fixed_units) + 4 / (0.2 * planned.fixed_units))
    assert stats.norm.sf(stats.norm.isf(0.025) - 0.1 / error) == pytest.approx(0.9, abs=1e-4)


@pytest.mark.parametrize(("mode", "most", "mean"), [("always_valid", 1.65, 0.99), ("bounded", 1.19, 0.74)])
def test_looking_at_any_time_costs_by_the_table(mode: planner.Mode, most: float, mean: float) -> None:
    planned = planner.plan(planner.binary(0.1, 0.01), 0.01, mode, HALF, 20_000)
    assert planned.fixed_units == pytest.approx(29_496, rel=0.001)
    assert planned.most_units == pytest.approx(most * planned.fixed_units)
    assert planned.mean_units == pytest.approx(mean * planned.fixed_units)
    assert planned.most_days == pytest.approx(planned.most_units / 20_000)
    assert planned.test.tuned == pytest.approx(planned.most_units if mode == "bounded" else planned.fixed_units)


def test_days_go_through_the_steps_and_end_with_the_window() -> None:
    """A day at 10 % tells 0.36 times what a day at 50 % does."""
    straight = planner.plan(Spread(1, 1), 0.02, "bounded", HALF, 10_000)
    ramp = [Exposure(0.1, 2), Exposure(0.5)]
    ramped = planner.plan(Spread(1, 1), 0.02, "bounded", ramp, 10_000, window_seconds=43_200)
    assert ramped.most_days == pytest.approx(straight.most_days + 2 - 2 * 0.36 + 0.5)
    early = planner.plan(Spread(1, 1), 0.2, "bounded", ramp, 10_000)
    assert early.most_days == pytest.approx(early.most_units / 10_000 / 0.36)


def test_what_is_in_no_table_is_refused_with_what_is() -> None:
    with pytest.raises(ValueError, match=r"alpha 0.02 with power 0.8 is not planned; known are alpha 0.01"):
        planner.plan(Spread(1, 1), 0.1, "bounded", HALF, 100, alpha=0.02)


def test_the_planned_test_finds_the_effect_as_often_as_planned() -> None:
    """200 bounded runs of power .8, 40 looks: 160 expected, below 140 hardly ever."""
    random, found = np.random.default_rng(12), 0
    planned = planner.plan(planner.binary(0.1, 0.02), 0.02, "bounded", HALF, 1000)
    looks = np.linspace(planned.most_units / 40, planned.most_units, 40).astype(int) // 2
    for _ in range(200):
        sums = [np.cumsum(random.binomial(np.diff(looks, prepend=0), rate)) for rate in (0.1, 0.12)]
        for n, one, two in zip(looks.tolist(), *(each.tolist() for each in sums), strict=True):
            now = effect([Moments((n, one, one), (n, two, two))], planned.test, binary=True)
            if now is not None and now.decided:
                found += 1
                break
    assert 140 <= found <= 180
