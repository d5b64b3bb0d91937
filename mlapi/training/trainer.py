"""A table turned into one fitted, measured pipeline: infer, split, compare, fit, measure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlapi.errors import TrainingError
from mlapi.training.evaluation import Array, Evaluation, evaluate
from mlapi.training.families import AUTO, BASELINE, Family, chosen
from mlapi.training.metrics import Metric, primary
from mlapi.training.pipelines import build_pipeline, columns_of
from mlapi.training.search import Entry, Folds, fit, search
from mlapi.training.split import Split, split_rows
from mlapi.training.step import Report, Step, silent
from mlapi.training.table import Table
from mlapi.training.task import Task, TaskChoice, infer_task

SEED = 20261124
TEST_SIZE = 0.2
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Options:
    """What a training run may choose.

    `family` and `task` are names or "auto"; `metric` ranks the families, None for the task's
    default; `test_size` is the share of rows held out, above 0 and below 1; `folds` at least 2.
    """

    family: str = AUTO
    task: str = AUTO
    metric: str | None = None
    test_size: float = TEST_SIZE
    folds: int = FOLDS
    seed: int = SEED


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted pipeline and everything that is known of how it came to be.

    `model` was fitted on the rows `split.train` only; `evaluation` was measured on the rows
    `split.held_out` only, which no fit has seen, neither in the comparison nor at the end.
    `leaderboard` has cross-validated figures on the training rows, best first, the baseline last.
    `notices` are sentences a person should read before trusting the model.
    """

    table: Table
    options: Options
    task: TaskChoice
    metric: Metric
    split: Split
    family: Family
    model: Any
    evaluation: Evaluation
    leaderboard: tuple[Entry, ...]
    notices: tuple[str, ...]

    @property
    def train_features(self) -> pd.DataFrame:
        """The features of the training rows, numbered from 0."""
        return self.table.features.iloc[self.split.train].reset_index(drop=True)

    @property
    def train_target(self) -> pd.Series:
        """The target of the training rows, numbered from 0."""
        return self.table.target.iloc[self.split.train].reset_index(drop=True)


def train(table: Table, options: Options, *, report: Report = silent) -> Trained:
    """Return the best family for the table, fitted on its training rows and measured on the others.

    The same table and options give the same figures, on the same library versions and hardware.
    `report` is told of each fit before it begins.
    Raises TrainingError when the options do not fit the table or each other.
    """
    task = infer_task(table.target, options.task)
    metric = primary(options.metric, task.task)
    truth = truth_of(table.target, task.task)
    _check_metric(metric, truth, table)
    split = split_rows(
        table.target, task.task, test_size=options.test_size, folds=options.folds, seed=options.seed,
    )
    families, skipped = chosen(options.family, task.task, len(split.train))
    features = table.features.iloc[split.train]
    classes = 0 if task.task == "regression" else int(table.target.nunique())
    columns = columns_of(features, classes)
    names = (*(family.name for family in families), BASELINE)
    candidates = {name: build_pipeline(name, task.task, columns, options.seed) for name in names}
    leaderboard = search(
        candidates, features, truth[split.train],
        task=task.task, metric=metric, folds=Folds(options.folds, options.seed), report=report,
    )  # fmt: skip
    best = _best(leaderboard, table)
    report(Step(f"fitting {best.family} on all training rows", 1, 1))
    model, note = fit(candidates[best.family], features, truth[split.train])
    held_out = table.features.iloc[split.held_out]
    return Trained(
        table=table,
        options=options,
        task=task,
        metric=metric,
        split=split,
        family=next(family for family in families if family.name == best.family),
        model=model,
        evaluation=evaluate(model, held_out, truth[split.held_out], task.task),
        leaderboard=leaderboard,
        notices=(*table.notices, *skipped, *_doubts(leaderboard, metric, note)),
    )


def truth_of(target: pd.Series, task: Task) -> Array:
    """Return the target as an array of shape (n,): floats, integer classes or text classes."""
    if task == "regression":
        return target.to_numpy(dtype=np.float64)
    if target.dtype.kind in "iuf":
        return target.to_numpy(dtype=np.int64)
    # A plain string array: pandas' own string types differ from release to release.
    return np.array([str(value) for value in target])


def _check_metric(metric: Metric, truth: Array, table: Table) -> None:
    if metric.name == "mape" and bool(np.any(truth == 0)):
        msg = (
            f"mape divides by the target, and '{table.target.name}' is 0 in some rows; use "
            f"--metric mae"
        )
        raise TrainingError(
            msg,
        )


def _best(leaderboard: Sequence[Entry], table: Table) -> Entry:
    best = leaderboard[0]
    if not best.metrics:
        msg = f"no family can learn '{table.target.name}' from {table.source}; {best.family} {best.note}"
        raise TrainingError(msg)
    return best


def _doubts(leaderboard: Sequence[Entry], metric: Metric, note: str) -> tuple[str, ...]:
    best, baseline = leaderboard[0], leaderboard[-1]
    doubts = [f"{best.family} {note}; its figures may improve with more rows or fewer columns"] * bool(note)
    gain = best.metrics[metric.name] - baseline.metrics[metric.name]
    if metric.sign * gain <= 0:
        doubts.append(
            f"{best.family} does no better than guessing without looking at the inputs "
            f"({metric.title}): these columns may say nothing about the target",
        )
    return tuple(doubts)
