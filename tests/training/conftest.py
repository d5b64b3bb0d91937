"""Small mixed tables with gaps, made once a session."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlapi.training.table import Table, read_table
from mlapi.training.trainer import Options, Trained, train

ROWS = 180


def mixed_frame(rows: int = ROWS) -> pd.DataFrame:
    """Return a table of every kind of column, with gaps, and three targets that depend on them."""
    random = np.random.default_rng(7)
    size, age = random.uniform(20, 200, rows), random.integers(0, 80, rows)
    city = random.choice(["north", "south", "west"], rows)
    garden = random.random(rows) < 0.5
    price = 1000 * size - 500 * age + 20_000 * (city == "north") + 9_000 * garden
    frame = pd.DataFrame({"size": size, "age": age, "city": city, "garden": garden})
    frame["price"] = (price + random.normal(0, 3_000, rows)).round(2)
    frame["grade"] = pd.cut(frame["price"], 3, labels=["low", "middle", "high"]).astype(str)
    frame["sold"] = np.where(frame["price"] > frame["price"].median(), "yes", "no")
    frame.loc[::11, "size"] = np.nan
    frame.loc[::13, "city"] = None
    return frame


@pytest.fixture(scope="session")
def mixed_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the mixed table."""
    path = tmp_path_factory.mktemp("tables") / "mixed.csv"
    mixed_frame().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def priced(mixed_csv: Path) -> Table:
    """Return the mixed table with a number to predict."""
    return read_table(mixed_csv, "price", ("grade", "sold"))


@pytest.fixture(scope="session")
def graded(mixed_csv: Path) -> Table:
    """Return the mixed table with three classes to predict."""
    return read_table(mixed_csv, "grade", ("price", "sold"))


@pytest.fixture(scope="session")
def trained_price(priced: Table) -> Trained:
    """Return a linear regression of the price."""
    return train(priced, Options(family="linear", folds=3))


@pytest.fixture(scope="session")
def trained_grade(graded: Table) -> Trained:
    """Return a logistic regression of the grade."""
    return train(graded, Options(family="logistic", folds=3))


