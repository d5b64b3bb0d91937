"""A registry of one version of every kind of model that is explained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlapi.registry import loading
from mlapi.registry.loading import LoadedModel
from mlapi.registry.publishing import publish
from mlapi.registry.store import Store

ROWS = 80


def table() -> pd.DataFrame:
    random = np.random.default_rng(5)
    return pd.DataFrame({
        "size": random.uniform(20, 200, ROWS).round(1), "rooms": random.integers(1, 9, ROWS),
        "city": random.choice(["berlin", "oslo", "rome"], ROWS), "garden": random.random(ROWS) < 0.5,
    })  # fmt: skip


def encoded(*, ordinal: bool = False) -> ColumnTransformer:
    texts = OrdinalEncoder() if ordinal else OneHotEncoder()
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer([("texts", texts, ["city"]), ("numbers", numbers, ["rooms", "size"])],
                             remainder="passthrough")  # fmt: skip


def models() -> dict[str, tuple[Any, Any, Any]]:
    """Return model, sample and target of each kind."""
    frame = table()
    matrix = np.random.default_rng(6).normal(size=(ROWS, 4))
    number = matrix[:, 0] * matrix[:, 1] + matrix[:, 2]
    two, three = np.where(number > 0, "yes", "no"), np.digitize(number, [-0.5, 0.5])
    price = frame["rooms"] * 10.0 + frame["size"] * (frame["city"] == "oslo")
    dear = price > price.median()
    trees = {"max_depth": 4, "random_state": 0}
    few = {"n_estimators": 8, **trees}
    return {
        "line": (LinearRegression(), matrix, number),
        "logistic": (LogisticRegression(), matrix, two),
        "logistic-three": (LogisticRegression(), matrix, three),
        "ridge": (RidgeClassifier(), matrix, two),
        "tree": (DecisionTreeRegressor(**trees), matrix, number),
        "tree-three": (DecisionTreeClassifier(**trees), matrix, three),
        "forest": (RandomForestRegressor(**few), matrix, number),
        "forest-two": (RandomForestClassifier(**few), matrix, two),
        "boosting": (GradientBoostingRegressor(**few), matrix, number),
        "boosting-two": (GradientBoostingClassifier(**few), matrix, two),
        "boosting-three": (GradientBoostingClassifier(**few), matrix, three),
        "hist": (HistGradientBoostingRegressor(max_iter=8), matrix, number),
        "hist-two": (HistGradientBoostingClassifier(max_iter=8), matrix, two),
        "hist-three": (HistGradientBoostingClassifier(max_iter=8), matrix, three),
        "hist-poisson": (HistGradientBoostingRegressor(max_iter=8, loss="poisson"), matrix, np.exp(number)),
        "scaled-line": (make_pipeline(StandardScaler(), LinearRegression()), matrix, number),
        "homes-line": (make_pipeline(encoded(), LinearRegression()), frame, price),
        "homes-logistic": (make_pipeline(encoded(), LogisticRegression()), frame, dear),
        "homes-codes": (make_pipeline(encoded(ordinal=True), RandomForestRegressor(**few)), frame, price),
        "homes-forest": (make_pipeline(encoded(), RandomForestRegressor(**few)), frame, price),
        "homes-hist": (make_pipeline(encoded(ordinal=True), HistGradientBoostingClassifier(
            max_iter=8, categorical_features=[0])), frame, dear),
        "homes-target": (TransformedTargetRegressor(make_pipeline(encoded(), LinearRegression()),
                                                    transformer=StandardScaler()), frame, price),
        "bayes": (GaussianNB(), matrix, three),
        "margin": (SVC(), matrix, two),
        "cluster": (KMeans(3, n_init=1, random_state=0), matrix, None),
        "targets": (LinearRegression(), matrix, np.column_stack([number, number])),
    }  # fmt: skip


@pytest.fixture(scope="session")
def explained_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explained")
    for name, (model, sample, target) in models().items():
        publish(model.fit(sample, target), name, sample=sample, registry=path)
    return path


@pytest.fixture(scope="session")
def version_of(explained_registry: Path) -> Callable[[str], LoadedModel]:
    store = Store(explained_registry)
    return lambda name: loading.load(store, name, 1)


@pytest.fixture(scope="session")
def explained_client(make_app: Callable[..., Flask], explained_registry: Path) -> FlaskClient:
    return make_app(explained_registry).test_client()
