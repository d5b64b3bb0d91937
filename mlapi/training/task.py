"""What kind of problem a target column poses: a number to predict, or a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from mlapi.errors import TrainingError

if TYPE_CHECKING:  # the families and metrics import this module for --help, which must not load pandas
    import pandas as pd

Task = Literal["regression", "classification"]
TASKS: tuple[Task, ...] = get_args(Task)
AUTO = "auto"

MOST_CLASSES = 20
"""Whole numbers with more distinct values than this are taken for a quantity."""
ROWS_PER_CLASS = 10
"""Whole numbers that repeat less often than this, on average, are taken for a quantity."""


@dataclass(frozen=True, slots=True)
class TaskChoice:
    """The task, and the reason for it as half a sentence about the target column."""

    task: Task
    reason: str


def infer_task(target: pd.Series, asked: str = AUTO) -> TaskChoice:
    """Return the task that fits a target column without missing values, or the one asked for.

    Text and true/false are classes. Numbers are a quantity, unless they are at most 20 distinct
    whole numbers that each stand in 10 rows or more on average, or two distinct numbers in all.
    Raises TrainingError for fewer than two distinct values, for an unknown task, and for
    regression on text.
    """
    distinct = int(target.nunique())
    if distinct < 2:  # noqa: PLR2004 (one value teaches nothing)
        msg = f"target '{target.name}' has the same value in every row; expected at least two values"
        raise TrainingError(
            msg,
        )
    if asked == AUTO:
        return _inferred(target, distinct)
    if asked not in TASKS:
        msg = f"'{asked}' is no task; expected auto, {' or '.join(TASKS)}"
        raise TrainingError(msg)
    return _asked(target, "regression" if asked == "regression" else "classification")


def _inferred(target: pd.Series, distinct: int) -> TaskChoice:
    name = target.name
    if not _is_number(target):
        if 2 * distinct > len(target):
            msg = (
                f"target '{name}' is text with {distinct:,} distinct values in {len(target):,} rows, for "
                f"example {first_text(target)}; classes repeat, and numbers are written as digits only"
            )
            raise TrainingError(msg)
        return TaskChoice("classification", f"'{name}' is text with {distinct:,} distinct values")
    if distinct == 2:  # noqa: PLR2004 (either of two numbers is a class whatever the numbers are)
        return TaskChoice("classification", f"'{name}' has two distinct values")
    repeats = len(target) / distinct >= ROWS_PER_CLASS
    if _is_whole(target) and distinct <= MOST_CLASSES and repeats:
        return TaskChoice(
            "classification",
            f"'{name}' has {distinct} distinct whole numbers, taken for classes "
            f"(use --task regression if they are a quantity)",
        )
    return TaskChoice("regression", f"'{name}' is numeric with {distinct:,} distinct values")


def _asked(target: pd.Series, task: Task) -> TaskChoice:
    if task == "regression" and not _is_number(target):
        msg = (
            f"target '{target.name}' is text, for example {first_text(target)}; regression needs "
            f"numbers: clean the column, or use --task classification"
        )
        raise TrainingError(
            msg,
        )
    if task == "classification" and _is_number(target) and not _is_whole(target):
        msg = (
            f"target '{target.name}' holds fractions; classification needs classes: write them as "
            f"text or whole numbers, or use --task regression"
        )
        raise TrainingError(
            msg,
        )
    return TaskChoice(task, "asked for with --task")


def first_text(column: pd.Series) -> str:
    """Return the first value of the column that is no number, quoted, with its line in the file.

    The index counts the data rows from 0; line 1 is the header.
    """
    for row, value in column.items():
        try:
            float(str(value))
        except ValueError:
            return f"'{str(value)[:40]}' in line {int(str(row)) + 2}"
    return "true and false"


def _is_number(target: pd.Series) -> bool:
    return target.dtype.kind in "iuf"


def _is_whole(target: pd.Series) -> bool:
    return bool((target % 1 == 0).all())
