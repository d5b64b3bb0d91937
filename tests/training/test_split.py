"""The split: apart, complete, repeatable, stratified, refused where a class is too rare."""

import numpy as np
import pandas as pd
import pytest

from mlapi.errors import TrainingError
from mlapi.training.split import split_rows

NUMBERS = pd.Series(np.arange(100.0), name="y")
CLASSES = pd.Series(["a"] * 80 + ["b"] * 20, name="y")


def test_every_row_is_on_exactly_one_side() -> None:
    split = split_rows(NUMBERS, "regression", test_size=0.2, folds=5, seed=1)
    assert sorted([*split.train, *split.held_out]) == list(range(100))
    assert len(split.held_out) == 20


def test_the_seed_decides_and_the_digest_tells() -> None:
    one, same, other = (
        split_rows(NUMBERS, "regression", test_size=0.2, folds=5, seed=seed) for seed in (1, 1, 2)
    )
    assert one.digest == same.digest
    assert one.digest != other.digest


def test_classes_keep_their_shares() -> None:
    split = split_rows(CLASSES, "classification", test_size=0.2, folds=5, seed=1)
    assert split.stratified
    assert CLASSES.iloc[split.held_out].value_counts().to_dict() == {"a": 16, "b": 4}


def test_a_class_too_rare_to_learn_and_measure_is_named() -> None:
    target = pd.Series(["a"] * 80 + ["b"] * 3, name="kind")
    with pytest.raises(TrainingError, match=r"classes of 'kind' with fewer than 9 rows .* 'b' \(3\)"):
        split_rows(target, "classification", test_size=0.2, folds=5, seed=1)


@pytest.mark.parametrize(("test_size", "folds"), [(0.05, 2), (0.2, 5), (0.2, 20), (0.5, 10)])
def test_the_rarest_class_allowed_is_on_both_sides_and_in_every_fold(
    test_size: float, folds: int,
) -> None:
    for count in range(2, 60):
        target = pd.Series(["a"] * 200 + ["b"] * count)
        try:
            split = split_rows(target, "classification", test_size=test_size, folds=folds, seed=1)
        except TrainingError:
            continue
        rare = (target == "b").to_numpy()
        assert rare[split.held_out].sum() >= 1
        assert rare[split.train].sum() >= max(folds, 6)


def test_more_folds_than_rows_allow_are_refused_with_the_most_there_can_be() -> None:
    with pytest.raises(TrainingError, match="expected --folds of at most 8"):
        split_rows(NUMBERS[:20], "regression", test_size=0.2, folds=10, seed=1)
