"""Labels of a few rows, found in Python, are those of many, found by numpy."""

import numpy as np
import pytest

from mlapi.runtimes.plans.heads import FEW, NEAR, Classification
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
