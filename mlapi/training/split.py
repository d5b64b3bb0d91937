"""The rows to learn from and the rows held out to measure on; no row is ever both."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from mlapi.errors import TrainingError
from mlapi.training.evaluation import Array
from mlapi.training.task import Task

LEAST_PER_CLASS = 6
"""Training rows a class needs: two folds of three, which calibrating an SVM asks for."""


@dataclass(frozen=True, slots=True)
class Split:
    """Positions of the rows, ascending and apart: `train` to fit on, `held_out` to measure on.

    `stratified` says that both have each class in the share it has in the whole.
    """

    train: Array
    held_out: Array
    stratified: bool
    test_size: float
    seed: int

    @property
    def digest(self) -> str:
        """The hex SHA-256 of the held-out positions as little-endian 64-bit integers."""
        return hashlib.sha256(self.held_out.astype("<i8").tobytes()).hexdigest()


def split_rows(target: pd.Series, task: Task, *, test_size: float, folds: int, seed: int) -> Split:
    """Return a shuffled split with a share `test_size` of the rows held out.

    Classes are stratified. The same target, shares and seed give the same split.
    Raises TrainingError when a class, or the table, has too few rows for the split and the folds.
    """
    stratified = task == "classification"
    if stratified:
        _check_classes(target, test_size, folds)
    elif len(target) * (1 - test_size) < 2 * folds:
        msg = (
            f"{len(target)} rows are too few for {folds} folds; expected --folds of at most "
            f"{int(len(target) * (1 - test_size)) // 2}"
        )
        raise TrainingError(
            msg,
        )
    train, held_out = train_test_split(
        np.arange(len(target)),
        test_size=test_size,
        random_state=seed,
        stratify=target.to_numpy() if stratified else None,
    )
    return Split(np.sort(train), np.sort(held_out), stratified, test_size, seed)


def _check_classes(target: pd.Series, test_size: float, folds: int) -> None:
    counts = target.value_counts()
    # One more on each side than the shares say: the split rounds.
    least = max(
        int(np.ceil(max(folds, LEAST_PER_CLASS) / (1 - test_size))) + 1,
        int(np.ceil(1 / test_size)) + 1,
    )
    rare = [f"'{name}' ({count})" for name, count in counts.items() if count < least]
    if rare:
        shown = ", ".join(rare[:5]) + (f" and {len(rare) - 5} more" if len(rare) > 5 else "")  # noqa: PLR2004 (one line)
        msg = (
            f"classes of '{target.name}' with fewer than {least} rows cannot be both learned and "
            f"measured: {shown}; gather more rows, merge the classes, or leave them out of the file"
        )
        raise TrainingError(
            msg,
        )
