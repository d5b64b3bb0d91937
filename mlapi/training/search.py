"""Families compared by cross-validation: a leaderboard, best first."""

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold

from mlapi.training.evaluation import Array, evaluate
from mlapi.training.families import BASELINE
from mlapi.training.metrics import Metric
from mlapi.training.step import Report, Step
from mlapi.training.task import Task

LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One family on the leaderboard.

    `metrics` are means over the folds, `spread` the standard deviation of the primary metric over
    them, `seconds` the time all folds took, `note` what a reader should know, or empty. A family
    that failed on a fold has no metrics, and the reason as its note.
    """

    family: str
    metrics: Mapping[str, float]
    spread: float
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Folds:
    """How the training rows are cut: `count` shuffled parts, stratified for classes."""

    count: int
    seed: int

    def cut(self, features: pd.DataFrame, truth: Array, task: Task) -> Sequence[tuple[Array, Array]]:
        """Return `count` pairs of positions: the rows to fit on and the rows to measure on."""
        splitter = StratifiedKFold if task == "classification" else KFold
        cutter = splitter(self.count, shuffle=True, random_state=self.seed)
        return list(cutter.split(features, truth))


def search(  # noqa: PLR0913 (the data, and how they are compared, each by its name)
    candidates: Mapping[str, Any],
    features: pd.DataFrame,
    truth: Array,
    *,
    task: Task,
    metric: Metric,
    folds: Folds,
    report: Report,
) -> tuple[Entry, ...]:
    """Return an entry for each candidate: the best by `metric` first, then failed ones, the baseline last.

    `candidates` maps family names to unfitted estimators, which stay unfitted. `report` is called
    before each fit. All candidates see the same folds.
    """
    cuts = folds.cut(features, truth, task)
    total = len(candidates) * len(cuts)
    entries = []
    for place, (family, model) in enumerate(candidates.items()):
        begun = time.perf_counter()
        results, notes = [], set()
        for fold, cut in enumerate(cuts):
            text = f"{family}, fold {fold + 1} of {len(cuts)}"
            report(Step(text, place * len(cuts) + fold, total))
            figures, note = _measure(clone(model), features, truth, cut, task)
            results.append(figures)
            notes.add(note)
        seconds = time.perf_counter() - begun
        entries.append(_entry(family, results, metric, seconds, " ".join(sorted(notes - {""}))))
    report(Step("compared", total, total))
    return _ranked(entries, metric)


def fit(model: Any, features: Any, truth: Array) -> tuple[Any, str]:  # noqa: ANN401 (any scikit-learn estimator and input)
    """Fit the model in place; return it, and a sentence if its solver stopped before it converged.

    Other warnings pass through.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(features, truth)
    for warning in caught:
        if not issubclass(warning.category, ConvergenceWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno,
            )
    stopped = any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return model, "stopped before it converged" if stopped else ""


def _measure(
    model: Any,  # noqa: ANN401 (any scikit-learn estimator)
    features: pd.DataFrame,
    truth: Array,
    cut: tuple[Array, Array],
    task: Task,
) -> tuple[Mapping[str, float], str]:
    """Return the figures on one fold, or none and the reason where the estimator refuses the data."""
    fit_on, measure_on = cut
    try:
        fitted, note = fit(model, features.iloc[fit_on], truth[fit_on])
        return evaluate(fitted, features.iloc[measure_on], truth[measure_on], task).metrics, note
    except ValueError as error:  # one family that cannot must not keep the others from it
        return {}, f"failed: {' '.join(str(error).split())[:LONGEST_REASON]}"


def _entry(
    family: str,
    results: Sequence[Mapping[str, float]],
    metric: Metric,
    seconds: float,
    note: str,
) -> Entry:
    # A metric that one fold has no value for (mape with a true zero) has no mean.
    names = [name for name in results[0] if all(name in result for result in results)]
    means = {name: float(np.mean([result[name] for result in results])) for name in names}
    if metric.name not in means:
        return Entry(family, {}, 0.0, seconds, note)
    spread = float(np.std([result[metric.name] for result in results]))
    return Entry(family, means, spread, seconds, note)


def _ranked(entries: Sequence[Entry], metric: Metric) -> tuple[Entry, ...]:
    def place(entry: Entry) -> tuple[bool, bool, float]:
        figure = entry.metrics.get(metric.name, 0.0)
        return entry.family == BASELINE, not entry.metrics, -metric.sign * figure

    return tuple(sorted(entries, key=place))
