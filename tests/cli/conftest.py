"""A registry with two models, and the command line in this process or in one of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import mlapi
from mlapi.cli.main import cli

CONSOLE = Path(sys.executable).with_name("mlapi")
Run = Callable[..., Result]


@pytest.fixture(scope="session")
def houses() -> pd.DataFrame:
    """Return rows of numbers and text, with their price."""
    frame = pd.DataFrame({"size": np.arange(20.0), "rooms": np.arange(20) % 5, "city": ["a", "b"] * 10})
    return frame.assign(price=3 * frame["size"] + 10 * (frame["city"] == "b"))


@pytest.fixture(scope="session")
def prices(houses: pd.DataFrame) -> Any:
    """Return a pipeline that was fitted on the columns."""
    encode = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    return make_pipeline(encode, LinearRegression()).fit(houses.drop(columns="price"), houses["price"])


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, prices: Any, houses: pd.DataFrame) -> Path:
    """Return a registry that no test changes, with 'prices' 1 and 2 (stable: 1) and the classifier 'iris' 1."""
    root = tmp_path_factory.mktemp("published") / "registry"
    for note in ("first", "[bold]second[/] :heart: [/x]"):
        mlapi.publish(prices, "prices", sample=houses, metrics={"r2": 0.5}, note=note, registry=root)
    rows = np.array([[0.0, 1.0], [1.0, 0.0]] * 5)
    classes = LogisticRegression().fit(rows, [":heart:", "[b]x[/b]"] * 5)
    mlapi.publish(classes, "iris", sample=rows, feature_names=["petal", "sepal"], registry=root)
    assert CliRunner().invoke(cli, ["label", "prices", "stable", "1", "--registry", str(root)]).exit_code == 0
    return root


@pytest.fixture
def registry(tmp_path: Path, published: Path) -> Path:
    """Return a registry of the test's own, as `published`."""
    return Path(shutil.copytree(published, tmp_path / "registry"))


@pytest.fixture
def run(registry: Path) -> Run:
    """Run a command on the registry, in this process."""

    def invoke(*arguments: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(cli, [*arguments, "--registry", str(registry)], input=stdin)

    return invoke


@pytest.fixture
def document(run: Run) -> Callable[..., Any]:
    """Run a command with --json and return what it prints."""

    def invoke(*arguments: str, stdin: str | bytes | None = None) -> Any:
        done = run(*arguments, "--json", stdin=stdin)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return json.loads(done.stdout)

    return invoke


@pytest.fixture
def console(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the console script itself, as a person would."""

    def mlapi_command(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **more.pop("environ", {})}
        return subprocess.run(
            [str(CONSOLE), *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
            env=environ, **more,
        )  # fmt: skip

    return mlapi_command


@pytest.fixture
def model_file(tmp_path: Path, prices: Any) -> Path:
    """Return a joblib file of the pipeline."""
    path = tmp_path / "model.joblib"
    joblib.dump(prices, path)
    return path


@pytest.fixture
def rows_file(tmp_path: Path, houses: pd.DataFrame) -> Path:
    """Return the rows as CSV, with their price."""
    path = tmp_path / "rows.csv"
    houses.to_csv(path, index=False)
    return path
