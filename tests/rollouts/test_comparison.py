"""The comparison: what disagrees, by how much, where; an interval that may be looked at at any time."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlapi.rollouts.comparison import Pair, compare
from mlapi.rollouts.document import Metric
from mlapi.rollouts.effects import proportion_interval

TOLERANCE = 0.5


def pair(control: Any, candidate: Any, **more: Any) -> Pair:
    given = {"prediction_id": None, "control_ms": 1.0, "candidate_ms": 2.0, **more}
    return Pair(control=(control,), candidate=None if candidate is None else (candidate,), **given)


def test_numbers_disagree_beyond_the_tolerance_and_classes_where_they_differ() -> None:
    found = compare([pair(1.0, 1.5), pair(1.0, 1.6), pair(3.0, 1.0), pair("a", "a"), pair("a", "b")], 7, TOLERANCE)
    assert (found.pairs, found.dropped, found.disagreement.count, found.disagreement.of) == (5, 7, 3, 5)
    assert found.mean_difference == pytest.approx((0.5 + 0.6 - 2.0 + 0 + 1) / 5)
    assert found.mean_absolute_difference == pytest.approx((0.5 + 0.6 + 2.0 + 0 + 1) / 5)
    assert [size for size, _ in found.worst] == pytest.approx([2.0, 1.0, 0.6])
    assert (found.control_ms, found.candidate_ms) == ((1.0, 1.0), (2.0, 2.0))


def test_errors_and_answers_that_are_no_numbers_are_counted_apart() -> None:
    other = replace(pair(1.0, 1.0), candidate=(1.0, 2.0))
    lines = [pair(1.0, None, error="ModelFailed: no"), Pair(None, (1.0,), (None,), 1.0, 1.0), other, pair(1.0, 1.0)]
    found = compare(lines, 0, TOLERANCE)
    assert (found.errors, found.invalid, found.disagreement.of) == (1, 2, 1)
    assert found.error_examples == ("ModelFailed: no",)


def test_a_comparison_of_nothing_says_nothing() -> None:
    found = compare([], 0, TOLERANCE)
    assert (found.disagreement.share, found.disagreement.lower, found.disagreement.upper) == (None, 0.0, 1.0)
    assert (found.mean_difference, found.quantiles, found.worst, found.losses) == (None, {}, (), None)


def test_segments_are_split_and_pay_for_being_many() -> None:
    lines = [pair(1.0, 1.0 + (at % 2) * 2, segments={"city": "ab"[at % 2]}) for at in range(200)]
    found = compare(lines, 0, TOLERANCE)
    assert (found.segments["city=a"].share, found.segments["city=b"].share) == (0.0, 1.0)
    assert found.segments["city=a"].upper > proportion_interval(0, 100, 0.05)[1]
    many = [pair(1.0, 1.0, segments={"city": str(at)}) for at in range(50)]
    assert len(compare(many, 0, TOLERANCE).segments) == 20


@pytest.mark.parametrize(
    ("kind", "expected"), [("accuracy", 0.0), ("squared_error", 1.5), ("log_loss", -math.log(1.5))],
)
def test_paired_losses_are_joined_by_prediction_id(kind: str, expected: float) -> None:
    measured = Metric("m", kind, 0.1)
    lines = [pair(1, 3, prediction_id="one", chances=(0.6, 0.9)), pair(1, 0, prediction_id="two", chances=(0.4, 0.1)),
             pair(1, 0, prediction_id="three")]  # fmt: skip
    losses = compare(lines, 0, TOLERANCE, measured, {"one": 1, "two": 0}).losses
    assert losses is not None
    assert (losses.number, losses.mean) == (2, pytest.approx(expected))


@pytest.mark.parametrize(("bad", "number"), [(0, 10), (3, 10), (10, 10), (50, 1000), (0, 100_000)])
def test_the_interval_holds_what_was_seen_and_narrows(bad: int, number: int) -> None:
    lower, upper = proportion_interval(bad, number, 0.05)
    assert 0 <= lower <= bad / number <= upper <= 1
    assert upper - lower > 0
    wider = proportion_interval(bad, number, 0.001)
    assert wider[0] <= lower
    assert upper <= wider[1]


@pytest.mark.no_cover
def test_the_interval_misses_the_truth_seldom_however_often_one_looks() -> None:
    """Simulated: 100 streams of 3,000 requests at 10 %, looked at 10 times; at most 5 % may ever miss it."""
    draws = np.random.default_rng(5).random((100, 3000)) < 0.1
    looks = np.unique(np.geomspace(10, 3000, 10).astype(int))
    missed = 0
    for stream in draws.cumsum(axis=1):
        found = [proportion_interval(int(stream[at - 1]), int(at), 0.05) for at in looks]
        missed += any(not lower <= 0.1 <= upper for lower, upper in found)
    assert missed / 100 <= 0.05


def test_paired_losses_have_an_interval_from_a_hundred_labels_on() -> None:
    """The candidate is right where the control is off by one, in half of the requests."""
    measured = Metric("error", "squared_error", 0.1)
    lines = [pair(1.0, 1.0 + at % 2, prediction_id=str(at)) for at in range(400)]
    labels = {str(at): 1.0 + at % 2 for at in range(400)}
    few = compare(lines[:99], 0, TOLERANCE, measured, labels).losses
    many = compare(lines, 0, TOLERANCE, measured, labels).losses
    assert few is not None
    assert (few.lower, few.upper) == (None, None)
    assert many is not None
    assert many.mean == pytest.approx(-0.5)
    assert many.lower is not None
    assert many.upper is not None
    assert many.lower < -0.5 < many.upper < 0
