"""The task is inferred from the target column, and the reason is said."""

import numpy as np
import pandas as pd
import pytest

from mlapi.errors import TrainingError
from mlapi.training.task import infer_task


def column(values: object, name: str = "target") -> pd.Series:
    """Return a target column."""
    return pd.Series(values, name=name)


def test_many_distinct_numbers_are_a_quantity() -> None:
    choice = infer_task(column(np.arange(1_032), "price"))
    assert choice.task == "regression"
    assert choice.reason == "'price' is numeric with 1,032 distinct values"


def test_text_is_classes() -> None:
    choice = infer_task(column(["a", "b"] * 3, "species"))
    assert (choice.task, choice.reason) == (
        "classification", "'species' is text with 2 distinct values",
    )


def test_two_numbers_are_classes_even_as_fractions() -> None:
    assert infer_task(column([0.5, 1.5] * 10)).task == "classification"


def test_few_whole_numbers_that_repeat_are_classes_and_the_way_out_is_said() -> None:
    choice = infer_task(column(list(range(10)) * 10, "digit"))
    assert choice.task == "classification"
    assert "--task regression" in choice.reason


def test_few_whole_numbers_that_hardly_repeat_are_a_quantity() -> None:
    assert infer_task(column(list(range(15)) * 2)).task == "regression"


def test_few_fractions_are_a_quantity() -> None:
    assert infer_task(column([1.5, 2.5, 3.5] * 50)).task == "regression"


def test_the_task_asked_for_wins() -> None:
    choice = infer_task(column(list(range(10)) * 10), "regression")
    assert (choice.task, choice.reason) == ("regression", "asked for with --task")


@pytest.mark.parametrize(
    ("values", "asked", "sentence"),
    [
        ([1, 1, 1], "auto", "has the same value in every row"),
        ([1.0, 2.5], "classification", "holds fractions"),
        ([1, 2], "ranking", "'ranking' is no task; expected auto, regression or classification"),
    ],
)
def test_a_target_or_task_that_makes_no_sense_is_refused(
    values: list[float], asked: str, sentence: str,
) -> None:
    with pytest.raises(TrainingError, match=sentence):
        infer_task(column(values), asked)


def test_regression_on_text_names_the_first_text_and_its_line() -> None:
    with pytest.raises(TrainingError, match=r"for example '\$12' in line 3; regression needs"):
        infer_task(column(["11", "$12", "$13"]), "regression")


def test_text_that_hardly_repeats_is_refused_as_neither_classes_nor_numbers() -> None:
    with pytest.raises(TrainingError, match=r"30 distinct values in 30 rows, .* '\$0' in line 2; classes repeat"):
        infer_task(column([f"${i}" for i in range(30)], "price"))
