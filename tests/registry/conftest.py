"""Small fitted models and registries of their own; models are fitted once a session."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlapi.registry.manifest import FileEntry, Manifest, dumps
from mlapi.registry.publishing import publish_model
from mlapi.registry.store import Store

ROWS = 60
NUMBERS = ["size", "age"]


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    """Return rows of every plain kind, with gaps in numbers and in text."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({
        "size": random.normal(100, 20, ROWS),
        "age": random.integers(0, 80, ROWS),
        "city": random.choice(["north", "south", "west"], ROWS),
        "garden": random.random(ROWS) < 0.5,
    })  # fmt: skip
    frame.loc[::7, "size"] = np.nan
    frame["city"] = frame["city"].astype(object)
    frame.loc[::9, "city"] = np.nan
    return frame


@pytest.fixture(scope="session")
def matrix() -> Any:
    """Return a float matrix of two columns."""
    return np.random.default_rng(1).normal(size=(ROWS, 2))


@pytest.fixture(scope="session")
def line(matrix: Any) -> LinearRegression:
    """Return a regressor that was fitted on an array."""
    return LinearRegression().fit(matrix, matrix @ [1.0, 2.0])


@pytest.fixture(scope="session")
def classifier(matrix: Any) -> LogisticRegression:
    """Return a classifier of texts that was fitted on an array."""
    return LogisticRegression().fit(matrix, np.where(matrix[:, 0] > 0, "yes", "no"))


@pytest.fixture(scope="session")
def mixed(table: pd.DataFrame) -> Any:
    """Return a pipeline that was fitted on the mixed table, imputing and encoding."""
    columns = make_column_transformer(
        (SimpleImputer(), NUMBERS),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), ["city"]),
        ("passthrough", ["garden"]),
    )
    return make_pipeline(columns, LinearRegression()).fit(table, np.arange(ROWS))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return where a registry may stand; nothing is there yet."""
    return tmp_path / "registry"


@pytest.fixture
def store(root: Path) -> Store:
    """Return an empty registry."""
    return Store(root)


@pytest.fixture
def add(store: Store, line: LinearRegression, matrix: Any) -> Callable[..., Manifest]:
    """Publish the line once more."""

    def publish(name: str = "line", **about: Any) -> Manifest:
        return publish_model(line, name, registry=store.root, sample=matrix, **about)

    return publish


@pytest.fixture
def tamper(store: Store) -> SimpleNamespace:
    """Change files of a version as an intruder with write access would."""

    def write(name: str, version: int, file: str, data: bytes) -> Path:
        folder = store.folder(name, version)
        folder.chmod(0o755)
        path = folder / file
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        return path

    def consistent(name: str, version: int, file: str, data: bytes, **changes: Any) -> None:
        """Replace a file, and the manifest so that it fits."""
        described = store.manifest(name, version)
        files = tuple(FileEntry.of(file, data) if entry.name == file else entry for entry in described.files)
        fields = {key: getattr(described, key) for key in described.__slots__}
        write(name, version, file, data)
        write(name, version, "manifest.json", dumps(Manifest(**{**fields, "files": files, **changes})))

    def described(name: str, version: int, **changes: Any) -> None:
        """Replace members of the manifest alone."""
        fields = {key: getattr(store.manifest(name, version), key) for key in Manifest.__slots__}
        write(name, version, "manifest.json", dumps(Manifest(**{**fields, **changes})))

    return SimpleNamespace(write=write, consistent=consistent, described=described)


@pytest.fixture(scope="session")
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script in an interpreter of its own."""

    def script(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return script


def npz(**arrays: Any) -> bytes:
    """Return the bytes of an `.npz`."""
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return sink.getvalue()


@pytest.fixture(scope="session")
def as_npz() -> Callable[..., bytes]:
    """Return the function that makes the bytes of an `.npz`."""
    return npz
