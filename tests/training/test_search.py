"""The leaderboard: best first, baseline last, solvers that gave up are named."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor
from sklearn.utils.validation import check_is_fitted

from mlapi.training.families import BASELINE
from mlapi.training.metrics import primary
from mlapi.training.search import Entry, Folds, fit, search
from mlapi.training.step import Step, silent

FEATURES = pd.DataFrame({"x": np.arange(60.0)})
TRUTH = np.arange(60.0) * 3 + 1


class Refusing(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Refuses whatever it is fitted on."""

    def fit(self, _features: Any, _truth: Any) -> "Refusing":
        """Refuse."""
        msg = "too\n  odd"
        raise ValueError(msg)


class Noisy(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Warns while fitting, of something that is no convergence."""

    def fit(self, _features: Any, _truth: Any) -> "Noisy":
        """Warn."""
        warnings.warn("odd data", UserWarning, stacklevel=2)
        return self


def board(metric: str = "r2", seed: int = 1) -> tuple[Entry, ...]:
    """Return a leaderboard of a right model, a useless one and the baseline."""
    candidates = {
        BASELINE: DummyRegressor(),
        "tree": DummyRegressor(strategy="constant", constant=1e6),
        "linear": LinearRegression(),
    }
    return search(
        candidates, FEATURES, TRUTH, task="regression", metric=primary(metric, "regression"),
        folds=Folds(3, seed), report=silent,
    )  # fmt: skip


@pytest.mark.parametrize("metric", ["r2", "mae", "rmse", "mape"])
def test_the_best_is_first_and_the_baseline_last_whichever_way_the_metric_goes(metric: str) -> None:
    assert [entry.family for entry in board(metric)] == ["linear", "tree", BASELINE]


def test_a_family_that_refuses_the_data_stands_behind_the_others_with_its_reason() -> None:
    candidates = {"mlp": Refusing(), BASELINE: DummyRegressor(), "linear": LinearRegression()}
    entries = search(
        candidates, FEATURES, TRUTH, task="regression", metric=primary(None, "regression"),
        folds=Folds(3, 1), report=silent,
    )  # fmt: skip
    assert [entry.family for entry in entries] == ["linear", "mlp", BASELINE]
    assert (entries[1].metrics, entries[1].note) == ({}, "failed: too odd")


def test_figures_are_means_over_folds_that_the_seed_decides() -> None:
    linear = board()[0]
    assert linear.metrics["r2"] == pytest.approx(1.0)
    assert linear.spread == pytest.approx(0.0, abs=1e-9)
    assert [entry.metrics for entry in board()] == [entry.metrics for entry in board()]
    assert board()[1].metrics != board(seed=2)[1].metrics


def test_candidates_stay_unfitted_and_every_fit_is_reported() -> None:
    model, steps = LinearRegression(), list[Step]()
    search(
        {"linear": model}, FEATURES, TRUTH, task="regression", metric=primary(None, "regression"),
        folds=Folds(3, 1), report=steps.append,
    )  # fmt: skip
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    assert [(step.done, step.total) for step in steps] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert steps[0].text == "linear, fold 1 of 3"


def test_a_solver_that_gave_up_is_noted_and_warns_nobody() -> None:
    _, note = fit(MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=1), FEATURES, TRUTH)
    assert note == "stopped before it converged"


def test_other_warnings_pass_through() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.warns(UserWarning, match="odd data"):
            fit(Noisy(), FEATURES, TRUTH)
