"""Labels of a few rows, found in Python, are those of many, found by numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlapi.runtimes.plans.heads import FEW, NEAR, Classification
from mlapi.runtimes.plans.network import Network
from mlapi.runtimes.plans.shapes import Chain
from mlapi.runtimes.plans.step import Unproven

HEAD = Classification(Chain(()), "identity", tuple("abcdefghij"), exact=False)


def test_a_few_rows_get_the_labels_of_many() -> None:
    scores = np.random.default_rng(0).random((3 * FEW, 10))
    many = HEAD.answers(scores, ["predict"])["predict"]
    few = [HEAD.answers(scores[begin : begin + FEW], ["predict"])["predict"] for begin in range(0, 3 * FEW, FEW)]
    assert np.concatenate(few).tolist() == many.tolist()
    assert few[0].dtype == many.dtype


@pytest.mark.parametrize("odd", [1 - NEAR / 2, np.nan])
@pytest.mark.parametrize("rows", [1, FEW, FEW + 1])
def test_scores_that_are_too_near_or_none_are_left_to_the_estimator(rows: int, odd: float) -> None:
    scores = np.zeros((rows, 10))
    scores[:, 3], scores[-1, 5] = 1.0, odd
    with pytest.raises(Unproven):
        HEAD.answers(scores, ["predict"])


def network(classes: int, scale: float = 1.0) -> Classification:
    """Return a head over a network whose logits are its rows, times `scale`."""
    model = Network((np.eye(classes) * scale,), (np.zeros(classes),), "relu", "softmax")
    return Classification(model, "identity", tuple(range(classes)), exact=False)


@pytest.mark.parametrize("rows", [1, FEW, FEW + 1])
@given(
    logits=st.lists(st.floats(-50, 50), min_size=2, max_size=12),
    gap=st.one_of(st.floats(0, 1e-6), st.floats(0, 900)), place=st.integers(0, 10),
)
def test_labels_by_logits_are_those_by_probabilities_that_are_apart(
    rows: int, logits: list[float], gap: float, place: int,
) -> None:
    head, row = network(len(logits)), np.array(logits)
    row[place % (len(logits) - 1) + 1] = row.max() + gap
    try:
        labels = head.answers(np.tile(row, (rows, 1)), ["predict"])["predict"]
    except Unproven:
        return
    both = head.answers(row[None], ["predict", "predict_proba"])  # raises where probabilities are too near
    assert labels.tolist() == rows * both["predict"].tolist()


@pytest.mark.parametrize("rows", [1, FEW, FEW + 1])
@pytest.mark.parametrize(("large", "scale"), [(0.0, 1.0), (4 * NEAR, 1.0), (10.0, 1e308)], ids=["same", "near", "inf"])
def test_logits_that_are_too_near_or_overflow_are_left_to_the_estimator(rows: int, large: float, scale: float) -> None:
    values = np.tile([0.0, 5.0, 0.0], (rows, 1)) / scale
    values[-1] = 0.0, large, 0.0
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(Unproven):
        network(3, scale).answers(values, ["predict"])


def test_a_gap_that_decides_is_found() -> None:
    logits = np.tile([0.0, 1e-7, -5.0], (2, 1))
    assert network(3).answers(logits, ["predict"])["predict"].tolist() == [[1], [1]]
