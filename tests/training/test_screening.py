"""Columns that teach nothing are left out by name and reason; suspicious ones are pointed at."""

import numpy as np
import pandas as pd
import pytest

from mlapi.training.screening import repeated_rows, screen, suspects

ROWS = 60


def left_out(name: str, values: object) -> str:
    """Return the notice for one column beside a good one, or nothing."""
    frame = pd.DataFrame({"good": np.arange(ROWS) % 7, name: values})
    features, notices = screen(frame)
    assert features.columns.tolist() == ["good"] if notices else ["good", name]
    return " ".join(notices)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("constant", [1] * ROWS, "column 'constant' left out: it has fewer than two"),
        ("empty", [None] * ROWS, "fewer than two distinct values"),
        ("day", [f"2024-01-{i % 28 + 1:02}" for i in range(ROWS)], "dates as text"),
        ("day", [f"{i % 28 + 1:02}.01.2024" for i in range(ROWS)], "dates as text"),
        ("nr", range(1, ROWS + 1), "it numbers the rows"),
        ("customer_id", np.arange(ROWS)[::-1] * 7, "it numbers the rows"),
        ("comment", [f"text {i}" for i in range(ROWS)], "differs in nearly every row"),
    ],
)
def test_columns_that_teach_nothing_are_left_out(name: str, values: object, reason: str) -> None:
    assert reason in left_out(name, values)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("area", np.arange(ROWS)[::-1] * 7),
        ("bid", np.arange(ROWS)[::-1] * 7),
        ("kind", ["a", "b", "c"] * 20),
        ("year", ["2024", "2025", "new"] * 20),
        ("flag", [True, False] * 30),
        ("gaps", [1.5, None, 2.5] * 20),
    ],
)
def test_columns_that_may_teach_something_are_kept(name: str, values: object) -> None:
    assert left_out(name, values) == ""


def test_a_column_that_is_the_target_in_other_words_is_pointed_at() -> None:
    target = pd.Series(np.arange(ROWS) * 1.5, name="price")
    features = pd.DataFrame({"price_in_euro": target * 0.92, "size": np.arange(ROWS) % 7})
    (notice,) = suspects(features, target)
    assert "column 'price_in_euro' follows the target 'price'" in notice
    assert suspects(features, pd.Series(["a", "b"] * 30)) == ()


def test_repeated_rows_are_counted_where_they_are_no_chance() -> None:
    features = pd.DataFrame({name: np.arange(ROWS) % 30 for name in "abcde"})
    target = pd.Series(np.arange(ROWS) % 30, name="y")
    assert repeated_rows(features, target)[0].startswith("30 rows repeat another in every column; where")
    assert repeated_rows(features[["a"]], target) == ()
    assert repeated_rows(features, pd.Series(np.arange(ROWS), name="y")) == ()
