"""How each family is built: a scikit-learn pipeline that takes a data frame by column name.

Every pipeline fills gaps and takes texts it has never seen. Where a family needs numbers of similar
size they are scaled; where it needs numbers only, texts are one-hot encoded. Nothing runs in
parallel: in a server one request is one thread.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlapi.training.families import BASELINE
from mlapi.training.task import Task

MOST_TEXTS = 100
"""One-hot columns for one text column; the rarest texts share the last, or memory would run out."""
MOST_CODES = 255
"""Categories that histogram boosting can tell apart in one column (scikit-learn user guide 1.11.1)."""
EARLY_STOPPING_ROWS = 1_000
"""From here a tenth of the rows is enough to tell a neural network when to stop."""
ROWS_PER_CLASS = 20
"""And from here that tenth has rows of every class, also within a fold."""
SCALED = frozenset({"linear", "logistic", "svm", "mlp"})


@dataclass(frozen=True, slots=True)
class Columns:
    """What a pipeline must know of a table: its numeric and text columns, and its size.

    `widest` is the number of distinct values in the text column that has most of them, `classes`
    the number of classes to tell apart, 0 for regression.
    """

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    rows: int
    widest: int
    classes: int = 0


def columns_of(features: pd.DataFrame, classes: int = 0) -> Columns:
    """Return the numeric and text columns of a table, each in the order of the table.

    True/false columns, which have no gaps, are numbers: 1 and 0.
    """
    numbers = tuple(str(name) for name in features.columns if features[name].dtype.kind in "iufb")
    texts = tuple(str(name) for name in features.columns if str(name) not in numbers)
    widest = max((int(features[name].nunique()) for name in texts), default=0)
    return Columns(numbers, texts, len(features), widest, classes)


def build_pipeline(family: str, task: Task, columns: Columns, seed: int) -> Pipeline:
    """Return the unfitted pipeline of a family, or of the baseline, for these columns.

    `seed` fixes everything random in it. The family must be able to do the task.
    """
    prepare = _coded(columns) if family == "boosting" else _encoded(columns, scaled=family in SCALED)
    return Pipeline([("prepare", prepare), ("model", _MODELS[family, task](columns, seed))])


def _coded(columns: Columns) -> ColumnTransformer:
    """Texts as codes, which histogram boosting splits as sets; gaps and new texts are both missing."""
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=MOST_CODES,
    )
    # The texts come first, so that their places are the first ones: see _boosting.
    return ColumnTransformer(
        [("texts", codes, list(columns.texts)), ("numbers", "passthrough", list(columns.numbers))],
    )


def _encoded(columns: Columns, *, scaled: bool) -> ColumnTransformer:
    # keep_empty_features: a column that is all gaps within one fold keeps its place.
    fill: BaseEstimator = SimpleImputer(strategy="median", keep_empty_features=True)
    numbers = Pipeline([("fill", fill), ("scale", StandardScaler())]) if scaled else fill
    texts = Pipeline(
        [
            ("fill", SimpleImputer(strategy="constant", fill_value="missing")),
            ("encode", _one_hot(columns.widest)),
        ],
    )
    return ColumnTransformer(
        [("numbers", numbers, list(columns.numbers)), ("texts", texts, list(columns.texts))],
    )


def _one_hot(widest: int) -> OneHotEncoder:
    return OneHotEncoder(
        handle_unknown="ignore",
        sparse_output=False,
        # Grouping costs time in every prediction, so it is asked for only where it is needed.
        max_categories=MOST_TEXTS if widest > MOST_TEXTS else None,
    )


def _scaled_target(regressor: BaseEstimator) -> TransformedTargetRegressor:
    """Both the margin of an SVM and the steps of a network assume a target of about unit size."""
    return TransformedTargetRegressor(regressor, transformer=StandardScaler(), check_inverse=False)


def _svm_classifier(_columns: Columns, seed: int) -> CalibratedClassifierCV:
    # SVC(probability=True) is deprecated from scikit-learn 1.8; this is what its notes advise.
    return CalibratedClassifierCV(SVC(C=5.0, random_state=seed), ensemble=False, cv=3)


def _network(columns: Columns, seed: int) -> dict[str, object]:
    return {
        "hidden_layer_sizes": (100,),
        "alpha": 0.01,
        "learning_rate_init": 0.003,
        "max_iter": 500,
        "early_stopping": columns.rows >= max(EARLY_STOPPING_ROWS, ROWS_PER_CLASS * columns.classes),
        "random_state": seed,
    }


def _forest(_columns: Columns, seed: int) -> dict[str, object]:
    return {
        "n_estimators": 200,
        "max_features": 0.33,
        "min_samples_leaf": 2,
        "random_state": seed,
        "n_jobs": 1,
    }


def _boosting(columns: Columns, seed: int) -> dict[str, object]:
    return {
        "max_iter": 300,
        "learning_rate": 0.05,
        "max_leaf_nodes": 15,
        "min_samples_leaf": 10,
        "l2_regularization": 1.0,
        "max_features": 0.5,
        "early_stopping": False,
        "categorical_features": list(range(len(columns.texts))),
        "random_state": seed,
    }


_Builder = Callable[[Columns, int], BaseEstimator]

_MODELS: Mapping[tuple[str, Task], _Builder] = {
    (BASELINE, "regression"): lambda _c, _s: DummyRegressor(strategy="mean"),
    (BASELINE, "classification"): lambda _c, _s: DummyClassifier(strategy="prior"),
    ("linear", "regression"): lambda _c, _s: LinearRegression(),
    ("logistic", "classification"): lambda _c, _s: LogisticRegression(max_iter=2_000),
    ("tree", "regression"): lambda _c, s: DecisionTreeRegressor(
        max_depth=10, min_samples_leaf=10, random_state=s,
    ),
    ("tree", "classification"): lambda _c, s: DecisionTreeClassifier(
        max_depth=10, min_samples_leaf=5, random_state=s,
    ),
    ("svm", "regression"): lambda _c, _s: _scaled_target(SVR(C=5.0, epsilon=0.05)),
    ("svm", "classification"): _svm_classifier,
    ("mlp", "regression"): lambda c, s: _scaled_target(MLPRegressor(**_network(c, s))),
    ("mlp", "classification"): lambda c, s: MLPClassifier(**_network(c, s)),
    ("forest", "regression"): lambda c, s: RandomForestRegressor(**_forest(c, s)),
    ("forest", "classification"): lambda c, s: RandomForestClassifier(**_forest(c, s)),
    ("boosting", "regression"): lambda c, s: HistGradientBoostingRegressor(**_boosting(c, s)),
    ("boosting", "classification"): lambda c, s: HistGradientBoostingClassifier(**_boosting(c, s)),
}
