"""What every test may use: small fitted models, a registry that serves them, the app over it, a client."""

import io
import itertools
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from mlapi.app import create_app
from mlapi.cli.main import cli
from mlapi.config import Config
from mlapi.registry.publishing import publish
from mlapi.registry.store import Store

LIMIT = 64 * 1024
"""The body limit of the session's app, in bytes; small enough to be crossed in a test."""

settings.register_profile(
    "mlapi", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("mlapi")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out of the coverage what hypothesis draws.

    Its thousand examples take twice as long when every line is counted, and reach few lines that no other test does.
    """
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.no_cover)


def homes() -> pd.DataFrame:
    """Return 60 homes in the five kinds of columns; `size` has gaps, the others have none."""
    random = np.random.default_rng(11)
    table = pd.DataFrame({
        "size": random.uniform(20, 200, 60).round(1),
        "year": random.uniform(1900, 2020, 60).round(),
        "rooms": random.integers(1, 9, 60),
        "city": random.choice(["berlin", "oslo", "rome"], 60),
        "garden": random.random(60) < 0.5,
    })
    table["year"] += 0.5  # a column of halves, so that it stays a floating one
    table.loc[::10, "size"] = np.nan
    return table


@pytest.fixture(scope="session")
def iris_rows() -> np.ndarray[Any, Any]:
    """Return the 150 flowers, four numbers each."""
    return np.asarray(load_iris().data)


@pytest.fixture(scope="session")
def iris_model(iris_rows: np.ndarray[Any, Any]) -> LogisticRegression:
    """Return a classifier of one matrix, with text classes and probabilities."""
    iris = load_iris()
    return LogisticRegression(max_iter=1000).fit(iris_rows, iris.target_names[iris.target])


@pytest.fixture(scope="session")
def homes_rows() -> pd.DataFrame:
    """Return the homes: size (may be missing), year, rooms, city (a closed set), garden."""
    return homes()


@pytest.fixture(scope="session")
def homes_model(homes_rows: pd.DataFrame) -> Pipeline:
    """Return a regressor of mixed columns whose encoder knows three cities."""
    prepare = ColumnTransformer([
        ("city", OneHotEncoder(), ["city"]),
        ("size", SimpleImputer(), ["size"]),
        ("rest", "passthrough", ["year", "rooms", "garden"]),
    ])
    price = 1000.0 * homes_rows["rooms"] + 5.0 * homes_rows["year"]
    return Pipeline([("prepare", prepare), ("fit", LinearRegression())]).fit(homes_rows, price)


def _fragile(function: Callable[[float], float]) -> Pipeline:
    rows = np.linspace(0, 2, 12).reshape(-1, 2)
    step = FunctionTransformer(np.vectorize(function))
    return Pipeline([("step", step), ("fit", LinearRegression())]).fit(rows, rows.sum(axis=1))


@pytest.fixture(scope="session")
def registry(
    tmp_path_factory: pytest.TempPathFactory, iris_model: LogisticRegression, iris_rows: np.ndarray[Any, Any],
    homes_model: Pipeline, homes_rows: pd.DataFrame,
) -> Path:
    """Return a registry that tests read and do not change; `registry_copy` is for changing.

    iris 1 and 2 (label stable: 1), homes 1; `exponent` raises OverflowError above 709, `root` raises
    ValueError below 0.
    """
    path = tmp_path_factory.mktemp("registry")
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    publish(iris_model, "iris", sample=iris_rows, feature_names=names, registry=path)
    publish(iris_model, "iris", sample=iris_rows, feature_names=names, registry=path)
    publish(homes_model, "homes", sample=homes_rows, registry=path)
    numbers = np.linspace(0, 2, 12).reshape(-1, 2)
    publish(_fragile(math.exp), "exponent", sample=numbers, registry=path)
    publish(_fragile(math.sqrt), "root", sample=numbers, registry=path)
    Store(path).label("iris", "stable", 1)
    return path


@pytest.fixture
def registry_copy(registry: Path, tmp_path: Path) -> Path:
    """Return a copy of the registry for a test to change."""
    copy = tmp_path / "registry"
    shutil.copytree(registry, copy)
    return copy


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Return a registry of the demo models, which takes long to train, and the outcome of `mlapi demo` that made it."""
    path = tmp_path_factory.mktemp("demo") / "artifacts"
    return path, CliRunner().invoke(cli, ["demo", "--registry", str(path)])


@pytest.fixture(scope="session")
def apps() -> list[Flask]:
    """Return all apps that were made."""
    return []


@pytest.fixture(autouse=True)
def _apps_end_with_their_test(apps: list[Flask]) -> Iterator[None]:
    """Stop the threads of the apps that a test made: hundreds of them would slow all the other tests.

    Fixtures of a session or module are made before this one, and so are their apps, which are kept.
    """
    kept = len(apps)
    yield
    for app in apps[kept:]:
        app.extensions["mlapi"].stop()
    del apps[kept:]


@pytest.fixture(scope="session")
def make_app(apps: list[Flask]) -> Iterator[Callable[..., Flask]]:
    """Return what builds an app over a registry; its threads end with the test that made it, or with the session."""

    def build(registry: Path, **options: Any) -> Flask:
        app = create_app(Config(registry=registry, max_body_bytes=LIMIT, **options))
        apps.append(app)
        return app

    yield build
    for app in apps:
        app.extensions["mlapi"].stop()


@pytest.fixture(scope="session")
def app(make_app: Callable[..., Flask], registry: Path) -> Flask:
    """Return the app over the session's registry, set as in production (TESTING is False)."""
    return make_app(registry)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client of the app."""
    return app.test_client()


@pytest.fixture
def send(app: Flask) -> Callable[..., Response]:
    """Return what posts bytes as they are: `chunked` without a length, as gunicorn hands such bodies over."""

    def post(path: str, body: bytes, *, chunked: bool = False, **headers: str) -> Response:
        builder = EnvironBuilder(path, method="POST", headers={key.replace("_", "-"): headers[key] for key in headers})
        environ = builder.get_environ()
        environ["wsgi.input"] = io.BytesIO(body)
        if chunked:
            environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
            environ.pop("CONTENT_LENGTH", None)
        else:
            environ["CONTENT_LENGTH"] = str(len(body))
        return Response.from_app(app, environ, buffered=True)

    return post


@pytest.fixture
def ticks() -> Callable[[], int]:
    """Return a clock of nanoseconds that advances by 1, 10, 100, ... from one look to the next."""
    moments = itertools.accumulate(10**i for i in range(18))
    return lambda: next(moments)
