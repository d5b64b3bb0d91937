"""A registry with one model of every form, and an app of its own over it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlapi.registry.publishing import publish
from mlapi.registry.store import Store

WORDS = ["", "köln", "oslo", "東京"]


def visits() -> pd.DataFrame:
    """Return rows of the four plain kinds of columns, none missing."""
    random = np.random.default_rng(5)
    return pd.DataFrame({
        "word": np.array(random.choice(WORDS, 80), dtype=object),
        "count": random.integers(-5, 6, 80),
        "known": random.random(80) < 0.5,
        "score": random.normal(size=80),
    })


def publish_all(root: Path, iris_rows: Any, iris_model: Any, homes_rows: Any, homes_model: Any) -> None:
    """Publish iris 1 and 2, homes, visits (integer classes), half, tie, odd, inplace and only."""
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    for _ in range(2):
        publish(iris_model, "iris", sample=iris_rows, feature_names=names, registry=root)
    Store(root).label("iris", "stable", 1)
    publish(homes_model, "homes", sample=homes_rows, registry=root)
    table = visits()
    encoded = ColumnTransformer(
        [("word", OneHotEncoder(handle_unknown="ignore"), ["word"])], remainder="passthrough",
    )
    classes = np.where(table["score"] > 0.3, 7, np.where(table["known"], -1, 2))
    classifier = Pipeline([("encode", encoded), ("fit", LogisticRegression(max_iter=2000))]).fit(table, classes)
    publish(classifier, "visits", sample=table, registry=root, unseen="accept")
    line = np.arange(6.0).reshape(-1, 1)
    publish(LinearRegression().fit(line, line[:, 0] / 2 + 2), "half", sample=line, registry=root)
    tied = DecisionTreeClassifier(max_depth=1).fit([[0.0], [0.0], [0.0], [9.0]], ["a", "b", "c", "a"])
    publish(tied, "tie", sample=np.array([[0.0], [9.0]]), registry=root)
    odd = DecisionTreeRegressor().fit(np.arange(4.0).reshape(-1, 1), np.arange(4.0))
    leaves = odd.apply(np.arange(4.0).reshape(-1, 1))
    odd.tree_.value[leaves, 0, 0] = [0.5, np.nan, np.inf, -np.inf]
    publish(odd, "odd", sample=np.zeros((2, 1)), registry=root)
    gaps = np.where(line == 3.0, np.nan, line)
    in_place = Pipeline([("fill", SimpleImputer(copy=False)), ("fit", LinearRegression())])
    publish(in_place.fit(gaps.copy(), line[:, 0] / 2 + 2), "inplace", sample=gaps, registry=root)
    text = pd.DataFrame({"word": table["word"]})
    only = Pipeline([("encode", OneHotEncoder(handle_unknown="ignore")), ("fit", LogisticRegression())])
    publish(only.fit(text, table["word"].str.len() > 2), "only", sample=text, registry=root, unseen="accept")


@pytest.fixture(scope="session")
def contract_registry(
    tmp_path_factory: pytest.TempPathFactory, iris_rows: Any, iris_model: Any, homes_rows: Any, homes_model: Any,
) -> Path:
    """Return the registry of these tests."""
    root = tmp_path_factory.mktemp("contract")
    publish_all(root, iris_rows, iris_model, homes_rows, homes_model)
    return root


@pytest.fixture(scope="session")
def contract_app(make_app: Callable[..., Flask], contract_registry: Path) -> Flask:
    """Return the app over it, set as in production."""
    return make_app(contract_registry)


@pytest.fixture
def client(contract_app: Flask) -> FlaskClient:
    """Return a client of it."""
    return contract_app.test_client()


@pytest.fixture
def fresh(make_app: Callable[..., Flask], contract_registry: Path) -> FlaskClient:
    """Return a client of an app of its own: nothing counted yet, nothing unloaded."""
    return make_app(contract_registry).test_client()
